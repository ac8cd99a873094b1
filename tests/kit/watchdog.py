"""The process that ends a hanging test run and shows every stack first.

It is a process, since the test's own may be stuck in native code with the GIL held.  Started by
tests/conftest.py with the test process's pid; over its stdin come lines ``LIMIT NAME`` where a
test begins and ``-`` where it has ended.  It goes when the test process does.  The stacks are
written by Python's faulthandler, which the environment turns on in every process.
"""

import os
import select
import signal
import stat
import sys
import time
from typing import IO

from . import proc

LONGEST = 30.0
"""Seconds after which processes that do not die of SIGABRT are no longer waited for."""


def watch(pid: int) -> None:
    """Guard the test process `pid` until it ends."""
    process = os.pidfd_open(pid)
    name, rest = "", b""
    deadline: float | None = None
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready = select.select([0, process], [], [], left)[0]
        if process in ready:
            return
        if not ready:
            end_of(pid, name)
            return
        chunk = os.read(0, 65536)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            limit, _, title = line.decode().partition(" ")
            name, deadline = title, (None if limit == "-" else time.monotonic() + float(limit))


def end_of(pid: int, name: str) -> None:
    """Show what every process of the run does, then kill it, the test process last."""
    # Stopped, or it would go on with the next test as soon as its children die.
    proc.kill(pid, signal.SIGSTOP)
    family = sorted(proc.descendants(pid) - {os.getpid()})
    say(f"\n\n==== watchdog: {name} ran into its time limit; {len(family)} other processes ====")
    captured = [Captured(pid, 1), Captured(pid, 2)]
    for file in captured:
        file.show()
    enough = time.monotonic() + LONGEST
    for member in [*family, pid]:
        say(f"\n==== {proc.describe(member)}")
        proc.abort(member, moment=2.0 if time.monotonic() < enough else 0.0)
        captured[1].show()
    proc.end([*family, pid])


class Captured:
    """What the test and its children wrote lies in pytest's unnamed capture files."""

    def __init__(self, pid: int, fd: int) -> None:
        self.title = f"captured on descriptor {fd}"
        self.file: IO[str] | None = None
        path = f"/proc/{pid}/fd/{fd}"
        # Anything else than an unnamed file is the user's terminal or log, no capture.
        if stat.S_ISREG(os.stat(path).st_mode) and "(deleted)" in os.readlink(path):
            self.file = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115 (kept until we end)

    def show(self) -> None:
        """What has been added since the last time."""
        if self.file and (text := self.file.read()):
            say(f"-- {self.title}:\n{text.rstrip()}")


def say(text: str) -> None:
    """To the real standard error, at once."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    watch(int(sys.argv[1]))
