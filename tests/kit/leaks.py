"""What a test leaves behind: processes and descriptors."""

import gc
import multiprocessing
import os
from dataclasses import dataclass

from . import proc
from .waiting import eventually

HELPERS = (
    "procession.forkserver import main",
    "multiprocessing.forkserver import main",
    "multiprocessing.resource_tracker import main",
)
"""Parts of the command lines of those who stay by design: one of each at most, started by us."""

SPARES = 2
"""Children that procession's fork server may keep in advance."""

ARENA = "/pym-"
"""In the names of the files of the stdlib's heap, which keeps what it once had."""

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
    """Everybody below us but those who stay by design."""
    table = proc.everybody()
    ours = proc.descendants()
    staying: set[int] = set()
    for words in HELPERS:
        found = [pid for pid in sorted(ours) if _is_helper(pid, words, table)]
        staying.update(found[-1:])
        spares = {pid for pid in ours if pid in table and table[pid].ppid in found[-1:]}
        if words.startswith("procession") and len(spares) <= SPARES:
            staying |= spares
    return ours - staying


def _is_helper(pid: int, words: str, table: dict[int, proc.Stat]) -> bool:
    return pid in table and table[pid].ppid == os.getpid() and words in proc.command(pid)


def _descriptors() -> set[tuple[int, str]]:
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the one that listed the directory
        if ARENA not in target:
            found.add((int(name), target))
    return found
