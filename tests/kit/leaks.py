"""What a test leaves behind: processes and descriptors."""

import gc
import multiprocessing
import os
from dataclasses import dataclass

from . import proc
from .waiting import eventually

HELPERS = ("forkserver", "resource_tracker")
"""Words of the command lines of those who stay by design."""

GRACE = 5.0
"""Seconds in which a process may still end and a descriptor still be closed."""


@dataclass(frozen=True)
class Holdings:
    """What this process holds at a moment."""

    pids: frozenset[int]
    fds: frozenset[tuple[int, str]]


def holdings() -> Holdings:
    """What is held now, by-design helpers left out."""
    gc.collect()
    return Holdings(frozenset(_processes()), frozenset(_descriptors()))


def leaked(before: Holdings) -> str:
    """What has been added since `before` and does not go away; empty if nothing."""
    try:
        eventually(lambda: not _added(before), GRACE)
    except AssertionError:
        return _added(before)
    return ""


def end_leaked(before: Holdings) -> None:
    """Kill the processes that a test left."""
    proc.end(_processes() - before.pids)
    reap()


def reap() -> None:
    """Take the exit codes of ended children, those adopted from dead descendants among them."""
    multiprocessing.active_children()
    adopted = proc.descendants(zombies=True) - proc.descendants()
    mine = {p._popen.pid for p in multiprocessing.process._children if p._popen is not None}  # type: ignore[attr-defined]
    for pid in adopted - mine:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue


def _added(before: Holdings) -> str:
    reap()
    now = holdings()
    lines = [proc.describe(pid) for pid in sorted(now.pids - before.pids)]
    lines += [f"descriptor {fd}: {target}" for fd, target in sorted(now.fds - before.fds)]
    return "\n".join(lines)


def _processes() -> set[int]:
    return {pid for pid in proc.descendants() if not any(word in proc.command(pid) for word in HELPERS)}


def _descriptors() -> set[tuple[int, str]]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except OSError:
            continue  # the one that listed the directory
    return found
