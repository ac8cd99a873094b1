"""Processes of this machine, read from /proc."""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that tests ask for."""

    state: str
    ppid: int
    session: int


def stat(pid: int) -> Stat | None:
    """What the kernel says of `pid`; None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in brackets and may itself hold spaces and brackets.
    fields = text.rpartition(")")[2].split()
    return Stat(state=fields[0], ppid=int(fields[1]), session=int(fields[3]))


def alive(pid: int) -> bool:
    """Does `pid` run?  A zombie, which only waits to be reaped, does not."""
    found = stat(pid)
    return found is not None and found.state not in "ZX"


def kill(pid: int, sig: int = signal.SIGKILL) -> bool:
    """Send a signal; False if the process was gone."""
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        return False
    return True


def everybody() -> dict[int, Stat]:
    """Every process of this machine, zombies among them."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return {pid: found for pid in pids if (found := stat(pid)) is not None}


def descendants(
    pid: int | None = None, *, zombies: bool = False, among: dict[int, Stat] | None = None
) -> set[int]:
    """Children of `pid` (this process if None), their children and so on."""
    table = everybody() if among is None else among
    root = os.getpid() if pid is None else pid
    family = {root}
    while grown := {p for p, s in table.items() if s.ppid in family} - family:
        family |= grown
    return {p for p in family - {root} if zombies or table[p].state not in "ZX"}


def in_session(session: int) -> set[int]:
    """The running processes of a session, whoever their parent is by now."""
    return {p for p, s in everybody().items() if s.session == session and s.state not in "ZX"}


def command(pid: int) -> str:
    """The command line, or the kernel's short name in brackets where there is none."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return line.strip() or f"[{Path(f'/proc/{pid}/comm').read_text(encoding='utf-8').strip()}]"
    except (FileNotFoundError, ProcessLookupError):
        return "(gone)"


def describe(pid: int) -> str:
    """One line on the process and one for each of its threads: state and where in the kernel."""
    lines = [f"process {pid}: {command(pid)}"]
    for task in sorted(Path(f"/proc/{pid}/task").glob("*")):
        fields = [f"{name}={_read(task / name)}" for name in ("comm", "wchan", "syscall")]
        found = stat(int(task.name))
        lines.append(f"    thread {task.name}: state={found.state if found else '?'} " + " ".join(fields))
    return "\n".join(lines)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "?"


def abort(pid: int, moment: float = 2.0) -> None:
    """SIGABRT, for faulthandler to write all stacks; back when the process has died of it.

    One process after the other, or their lines would run into each other.
    """
    kill(pid, signal.SIGABRT)
    kill(pid, signal.SIGCONT)
    end = time.monotonic() + moment
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.01)


def end(pids: Iterable[int]) -> None:
    """Kill, whatever they are doing; a stopped process dies of SIGKILL too."""
    for pid in pids:
        kill(pid, signal.SIGKILL)
