"""The process that ends a hanging test run and shows every stack first.

It is a process, since the test's own may be stuck in native code with the GIL held.  Started by
tests/conftest.py with the test process's pid; over its stdin come lines ``LIMIT NAME`` where a
test begins and ``-`` where it has ended.  It goes when the test process does.
"""

import os
import select
import signal
import stat
import sys
import time

from . import proc

MOMENT = 3.0
"""Seconds that processes are given to write their stacks and die."""


def watch(pid: int) -> None:
    """Guard the test process `pid` until it ends."""
    process = os.pidfd_open(pid)
    name, deadline, rest = "", None, b""
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
    family = proc.descendants(pid) - {os.getpid()}
    say(f"\n\n==== watchdog: {name} ran into its time limit; {len(family)} other processes ====")
    for member in [pid, *sorted(family)]:
        say(proc.describe(member))
    dump_and_die(family)
    show_captured(pid)
    say("==== stacks of the test process ====")
    proc.kill(pid, signal.SIGABRT)
    proc.kill(pid, signal.SIGCONT)
    wait_for({pid})
    proc.end({pid, *family})


def dump_and_die(pids: set[int]) -> None:
    """Python's faulthandler, on by the environment, writes the stacks of all threads on SIGABRT."""
    for pid in pids:
        proc.kill(pid, signal.SIGABRT)
        proc.kill(pid, signal.SIGCONT)
    wait_for(pids)
    proc.end(pids)


def wait_for(pids: set[int]) -> None:
    """Until all have ended, or a moment has passed."""
    end = time.monotonic() + MOMENT
    while any(map(proc.alive, pids)) and time.monotonic() < end:
        time.sleep(0.02)


def show_captured(pid: int) -> None:
    """What the test and its children wrote so far lies in pytest's unnamed capture files."""
    for fd, title in ((1, "stdout"), (2, "stderr")):
        path = f"/proc/{pid}/fd/{fd}"
        try:
            if not stat.S_ISREG(os.stat(path).st_mode) or "(deleted)" not in os.readlink(path):
                continue
            with open(path, encoding="utf-8", errors="replace") as file:
                say(f"==== captured {title} ====\n{file.read()}")
        except OSError as error:
            say(f"==== captured {title}: {error} ====")


def say(text: str) -> None:
    """To the real standard error, at once."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    watch(int(sys.argv[1]))
