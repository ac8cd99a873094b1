"""Programs run from outside, as a user runs them."""

import os
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from . import proc
from .waiting import eventually


@dataclass(frozen=True)
class Result:
    """How a program ended and what it left."""

    returncode: int
    stdout: str
    stderr: str
    leftovers: tuple[str, ...]
    """Processes of the program's session that outlived it; they have been killed."""

    def check(self) -> "Result":
        """This result; AssertionError with all output unless it ended with 0 and left nothing."""
        assert (self.returncode, self.leftovers) == (0, ()), self.report()
        return self

    def report(self) -> str:
        """Everything that is known of the run."""
        left = "\n".join(self.leftovers)
        output = f"stdout:\n{self.stdout}\nstderr:\n{self.stderr}"
        return f"exit status {self.returncode}\n{output}\nleft over:\n{left}"


def run_script(
    script: Path | str,
    *args: str,
    python: str = sys.executable,
    stdin: str | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    limit: float = 50.0,
) -> Result:
    """Run a Python file, or a text, which is first written to a file of its own.

    The rest as in :func:`run_python`.
    """
    with tempfile.TemporaryDirectory(prefix="procession-script-") as folder:
        if isinstance(script, str):
            text, script = script, Path(folder, "script.py")
            script.write_text(textwrap.dedent(text), encoding="utf-8")
        return run_python(str(script), *args, python=python, stdin=stdin, cwd=cwd, env=env, limit=limit)


def run_python(
    *args: str,
    python: str = sys.executable,
    stdin: str | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    limit: float = 50.0,
) -> Result:
    """Run the interpreter in a session of its own, to its end.

    `env` is added to the environment; `stdin` is text, nothing by default.  What the session
    leaves behind is killed and named in the result.  After `limit` seconds AssertionError, with
    the stacks of every process of the session.
    """
    # Output goes to files: a pipe would be held open by whoever outlives the program.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as source:
        source.write((stdin or "").encode())
        source.seek(0)
        child = subprocess.Popen(
            [python, *args],
            stdin=source,
            stdout=out,
            stderr=err,
            cwd=cwd,
            env=os.environ | {"PYTHONFAULTHANDLER": "1"} | (env or {}),
            start_new_session=True,
        )
        hung = not _ended(child, limit)
        leftovers = _clean(child, hung)
        result = Result(child.returncode, _text(out), _text(err), leftovers)
    assert not hung, f"{args} still ran after {limit:g} s\n{result.report()}"
    return result


def _ended(child: "subprocess.Popen[bytes]", limit: float) -> bool:
    try:
        child.wait(limit)
    except subprocess.TimeoutExpired:
        return False
    return True


def _clean(child: "subprocess.Popen[bytes]", hung: bool) -> tuple[str, ...]:
    """End the session, its stacks first if it hangs; a moment is given to those who are going."""
    members = proc.in_session(child.pid)
    if not hung:
        try:
            eventually(lambda: not proc.in_session(child.pid), 2.0)
        except AssertionError:
            members = proc.in_session(child.pid)
        else:
            return ()
    found = tuple(proc.describe(pid) for pid in sorted(members))
    for pid in sorted(members if hung else ()):
        proc.abort(pid)
    proc.end(proc.in_session(child.pid))
    child.wait()
    eventually(lambda: not proc.in_session(child.pid))
    return found


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
