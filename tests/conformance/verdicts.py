"""Which verdicts count: what is not about the documented interface, and what differs on purpose."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from .session import Verdict

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """A line of a data file: tests, by patterns of METHOD/CLASS.TEST, and what to say of them.

    In the table `skip` they are patterns of what a test says that is not run.
    """

    kind: str
    patterns: tuple[str, ...]
    reason: str
    pythons: tuple[str, ...] = ("*",)

    def covers(self, text: str, version: str) -> bool:
        """Is it about this test, run by this version (as 3.11) of Python?"""
        ours = any(fnmatchcase(version, python) for python in self.pythons)
        return ours and any(fnmatchcase(text, pattern) for pattern in self.patterns)


def read(name: str) -> list[Entry]:
    """The entries of a data file beside this one; kinds are the names of its tables."""
    tables = tomllib.loads((_HERE / name).read_text("utf-8"))
    return [
        Entry(kind, tuple(entry["tests"]), entry["reason"], tuple(entry.get("pythons", ("*",))))
        for kind, entries in tables.items()
        for entry in entries
    ]


def find(entries: Iterable[Entry], text: str, version: str) -> Entry | None:
    """The first entry about a test."""
    return next((entry for entry in entries if entry.covers(text, version)), None)


class Book:
    """The data files, for one version of Python, and the verdicts sorted by them."""

    def __init__(self, version: str, *, quick: bool) -> None:
        self.version = version
        self._quick = quick
        self._exempt = read("exempt.toml")
        self._expected = read("expected.toml")
        self.passed: list[Verdict] = []
        self.failed: list[Verdict] = []
        self.differing: list[Verdict] = []
        self.stale: list[Verdict] = []
        self.internal: list[Verdict] = []

    def runs(self, called: str) -> bool:
        """Is the test to be run here?"""
        entry = find(self._exempt, called, self.version)
        return entry is None or not (entry.kind == "unfit" or (entry.kind == "slow" and self._quick))

    def counts(self, verdict: Verdict) -> bool:
        """Is the test about the documented interface?"""
        entry = find(self._exempt, verdict.called, self.version)
        return entry is None or entry.kind != "internal"

    def expects(self, verdict: Verdict) -> bool:
        """Is the test to fail?"""
        return find(self._expected, verdict.called, self.version) is not None

    def note(self, verdict: Verdict) -> None:
        """Sort a verdict in."""
        if not self.counts(verdict):
            self.internal.append(verdict)
        elif verdict.outcome == "skipped":
            self._note_skipped(verdict)
        elif self.expects(verdict):
            (self.differing if verdict.outcome == "failed" else self.stale).append(verdict)
        else:
            (self.failed if verdict.bad else self.passed).append(verdict)

    def _note_skipped(self, verdict: Verdict) -> None:
        # A module that lacks something has its tests skipped; that is no way to pass.
        entry = find(self._exempt, verdict.why, self.version)
        if entry is None or entry.kind != "skip":
            verdict.why = f"skipped for a reason that exempt.toml does not know: {verdict.why}"
            self.failed.append(verdict)

    @property
    def good(self) -> bool:
        """Did something pass, and nothing fail?"""
        return bool(self.passed) and not self.failed and not self.stale
