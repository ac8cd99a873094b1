"""What a test leaves behind: processes and descriptors."""

import gc
import multiprocessing
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker

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
    return Holdings(frozenset(_processes()), frozenset(_descriptors()))


def leaked(before: Holdings) -> str:
    """What has been added since `before` and does not go away; empty if nothing."""
    reap()  # also of a test without leaks: the next one may wait for any child
    if not _added(before):
        return ""
    gc.collect()  # which takes long enough to be spared most tests
    try:
        eventually(lambda: not _added(before), GRACE)
    except AssertionError:
        return _added(before)
    return ""


def end_leaked(before: Holdings) -> None:
    """Kill the processes that a test left."""
    if left := _processes() - before.pids:
        proc.end(left)
        reap()


def reap() -> None:
    """Take the exit codes of ended children, those adopted from dead descendants among them."""
    multiprocessing.active_children()
    table = proc.everybody()
    me = os.getpid()
    adopted = {pid for pid, found in table.items() if found.ppid == me and found.state in "ZX"}
    mine = {p._popen.pid for p in multiprocessing.process._children if p._popen is not None}  # type: ignore[attr-defined]
    for pid in adopted - mine:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _added(before: Holdings) -> str:
    now = holdings()
    lines = [proc.describe(pid) for pid in sorted(now.pids - before.pids)]
    lines += [f"descriptor {fd}: {target}" for fd, target in sorted(now.fds - before.fds)]
    if lines:
        reap()
    return "\n".join(lines)


def _processes() -> set[int]:
    """Everybody below us but those who stay by design."""
    table = proc.everybody()
    ours = proc.descendants(among=table)
    staying: set[int] = set()
    for words in HELPERS:
        found = [pid for pid in sorted(ours) if table[pid].ppid == os.getpid() and words in proc.command(pid)]
        staying.update(found[-1:])
        spares = {pid for pid in ours if table[pid].ppid in found[-1:]}
        if words.startswith("procession") and len(spares) <= SPARES:
            staying |= spares
    return ours - staying


def _helpers_ends() -> set[int]:
    """Our ends of the connections with those who stay by design; they are new where a test ended one."""
    ends = {forkserver._forkserver._forkserver_alive_fd, resource_tracker._resource_tracker._fd}  # type: ignore[attr-defined]
    server = getattr(sys.modules.get("procession.start.serverlink"), "_server", None)
    return ends | ({server._requests} if server else set())


def _descriptors() -> set[tuple[int, str]]:
    found = set()
    standing = _helpers_ends()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the one that listed the directory
        if ARENA not in target and int(name) not in standing:
            found.add((int(name), target))
    return found
