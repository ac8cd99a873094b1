"""What a test leaves behind: processes and descriptors."""

import gc
import multiprocessing
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from typing import Any

from . import proc
from .waiting import eventually

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
    for pid in adopted - _mine() - helpers():
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _mine() -> set[int]:
    """Processes that this one has started, and not seen to end."""
    return {p._popen.pid for p in multiprocessing.process._children if p._popen is not None}  # type: ignore[attr-defined]


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
    server = _server()
    spares = {pid for pid, found in table.items() if server and found.ppid == server.pid} - _mine()
    staying = helpers() | (spares if len(spares) <= SPARES else set())
    return proc.descendants(among=table) - staying


def _server() -> Any:
    """This process's fork server; kit imports nothing of procession, but looks at what was imported."""
    return getattr(sys.modules.get("procession.start.serverlink"), "_server", None)


def helpers() -> set[int | None]:
    """Those who stay by design: our fork servers and our resource tracker."""
    server = _server()
    return {
        forkserver._forkserver._forkserver_pid,  # type: ignore[attr-defined]
        resource_tracker._resource_tracker._pid,  # type: ignore[attr-defined]
        server and server.pid,
    }


def _helpers_ends() -> set[int | None]:
    """Our ends of the connections with them; they are new where a test ended one."""
    server = _server()
    return {
        forkserver._forkserver._forkserver_alive_fd,  # type: ignore[attr-defined]
        resource_tracker._resource_tracker._fd,  # type: ignore[attr-defined]
        server and server._requests,
    }


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
