"""One test class in a session of its own: events, time limits, and what it leaves behind."""

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.kit import proc
from tests.kit.waiting import eventually

from .rewritten import PACKAGE, search_path

LIMIT = 60.0
"""Seconds until a test counts as hanging."""
MOMENT = 4.0
"""Seconds in which what a class has started must have gone when it is done."""

stop = threading.Event()
"""Set when nobody waits for the results any more."""


@dataclass(frozen=True)
class Job:
    """Tests of one class under one start method, run by one interpreter on what `folder` holds."""

    python: str
    folder: Path
    method: str
    kind: str
    name: str
    tests: tuple[str, ...]

    def called(self, test: str) -> str:
        """The test's full name, which patterns are matched with."""
        return f"{self.method}/{self.name}.{test}"

    def alone(self, test: str) -> "Job":
        """One test of it."""
        return replace(self, tests=(test,))


@dataclass
class Verdict:
    """What became of one test, or of the set-up, clean-up or end (`<...>`) of its class."""

    job: Job
    test: str
    outcome: str
    """passed, failed, hung or skipped"""
    why: str = ""
    seconds: float = 0.0

    @property
    def called(self) -> str:
        """The test's full name."""
        return self.job.called(self.test)

    @property
    def bad(self) -> bool:
        """Did it fail?"""
        return self.outcome in {"failed", "hung"}


def environment(folder: Path) -> dict[str, str]:
    """Of the interpreter under test: nothing but the path that concerns Python, and room of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    path = os.pathsep.join(search_path(folder))
    return kept | {"PYTHONPATH": path, "TMPDIR": str(folder / "tmp")}


def jobs(python: str, folder: Path, methods: Iterable[str]) -> Iterator[Job]:
    """All tests that the interpreter's own suite has, whatever the module under test can do."""
    program = f"from {PACKAGE}.child import catalogue; catalogue()"
    command = [python, "-c", program, *methods]
    done = subprocess.run(command, env=environment(folder), stdout=subprocess.PIPE, text=True, check=True)
    for line in done.stdout.splitlines():
        method, kind, name, tests = json.loads(line)
        yield Job(python, folder, method, kind, name, tuple(tests))


def run(job: Job) -> list[Verdict]:
    """Run a job's tests; after one that hangs or kills its process the rest in a new session."""
    verdicts: list[Verdict] = []
    left = list(job.tests)
    while left and not stop.is_set():
        session = _Session(replace(job, tests=tuple(left)))
        session.run()
        verdicts += session.verdicts
        done = {verdict.test for verdict in session.verdicts}
        left = [test for test in left if test not in done]
    return verdicts


class _Session:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._begun = ""
        self.verdicts: list[Verdict] = []
        self._elsewhere: list[Verdict] = []
        """What went wrong outside of tests."""

    def run(self) -> None:
        with tempfile.TemporaryDirectory(prefix="run-", dir=self._job.folder) as home:
            log, told = Path(home, "log"), Path(home, "told")
            told.touch()
            with log.open("wb") as output:
                child = self._start(home, told, output)
                try:
                    ended = self._follow(child, told)
                finally:
                    left = _end(child)
            self._conclude(ended, left, log.read_text("utf-8", "replace"))

    def _start(self, home: str, told: Path, output: Any) -> "subprocess.Popen[bytes]":
        program = f"from {PACKAGE}.child import run; run()"
        words = [str(told), self._job.method, self._job.name, *self._job.tests]
        return subprocess.Popen(
            [self._job.python, "-X", "faulthandler", "-c", program, *words],
            cwd=home,
            env=environment(self._job.folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def _follow(self, child: "subprocess.Popen[bytes]", told: Path) -> str:
        """Note events until the child ends; how it ended, nothing if as it should."""
        with told.open(encoding="utf-8") as lines:
            since, rest = time.monotonic(), ""
            while True:
                code = child.poll()
                *whole, rest = (rest + lines.read()).split("\n")
                for line in whole:
                    self._note(json.loads(line))
                    since = time.monotonic()
                if code is not None:
                    return f"the process ended with {code}" if code else ""
                if time.monotonic() - since > LIMIT or stop.is_set():
                    return "hung"
                time.sleep(0.05)

    def _note(self, event: dict[str, Any]) -> None:
        if "begin" in event:
            self._begun = event["begin"]
        elif "outcome" in event:
            self._begun = ""
            name = event.pop("end", None) or f"<{event.pop('place')}>"
            kind = self._elsewhere if name.startswith("<") else self.verdicts
            kind.append(Verdict(self._job, name, **event))

    def _conclude(self, ended: str, left: list[str], output: str) -> None:
        if self._begun:
            outcome = "hung" if ended == "hung" else "failed"
            self.verdicts.append(Verdict(self._job, self._begun, outcome, f"{ended}\n{output}"))
            return
        if ended or left:
            outcome = "hung" if ended == "hung" else "failed"
            text = "\n".join([ended, "left behind:" if left else "", *left, output])
            self._elsewhere.append(Verdict(self._job, "<end>", outcome, text))
        done = {verdict.test for verdict in self.verdicts}
        lost = [test for test in self._job.tests if test not in done]
        if lost and not self._elsewhere:
            self._elsewhere.append(Verdict(self._job, "<end>", "failed", f"not all tests ran\n{output}"))
        # The set-up failed, or decided that there is nothing to do here.
        self.verdicts += [replace(self._elsewhere[0], test=test) for test in lost]
        self.verdicts += [] if lost else self._elsewhere


def _end(child: "subprocess.Popen[bytes]") -> list[str]:
    """End the session, with stacks where it hangs; descriptions of those who outlived the child."""
    if child.poll() is None:
        for pid in sorted(proc.in_session(child.pid)):
            proc.abort(pid)
    else:
        with suppress(AssertionError):
            eventually(lambda: not proc.in_session(child.pid), MOMENT)
    left = sorted(proc.in_session(child.pid))
    described = [proc.describe(pid) for pid in left]
    proc.end(left)
    child.wait()
    return described
