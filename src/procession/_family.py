"""The family of processes and the objects it shares: the one Python file that imports the native module.

Everything shared can be pickled at any time, for any member of the family: a pickle holds the
object's handle.  A process that the standard library's own contexts start is no member yet; while
such a process is being started, the pickle also holds a descriptor of the heap.

While an object is under way somebody must hold it: a message holds what it carries (see
:func:`carrying`), a starting process is given its arguments while the parent still has them.
"""

from __future__ import annotations

import os
import threading

from procession import _core
from procession._core import (
    RECURSIVE_MUTEX,
    SEM_VALUE_MAX,
    SEMAPHORE,
    Guard,
    Guarded,
    Relay,
    Shared,
    Stream,
    TaskGuard,
    adopt,
    attach,
    bury,
    dumps_plain,
    end_by,
    end_with,
    family,
    forked,
    heap_fd,
    heap_stats,
    leave,
    loads,
    member,
    members,
    serve,
    take_answers,
)
from procession._core import Buffer as NativeBuffer
from procession._core import Readiness as NativeReadiness

from . import _standard

__all__ = [
    "RECURSIVE_MUTEX",
    "SEMAPHORE",
    "SEM_VALUE_MAX",
    "Block",
    "Buffer",
    "Claims",
    "EventWord",
    "Guard",
    "Guarded",
    "Image",
    "NativeBuffer",
    "NativeReadiness",
    "Relay",
    "Ring",
    "SemLock",
    "Shared",
    "Stream",
    "TaskGuard",
    "WaitList",
    "adopt",
    "attach",
    "bury",
    "carrying",
    "dumps_plain",
    "end_by",
    "end_with",
    "family",
    "forked",
    "heap_fd",
    "heap_stats",
    "leave",
    "loads",
    "member",
    "members",
    "serve",
    "take_answers",
]

TYPE_CHECKING = False  # not typing's: to import that takes a tenth of what importing all of this does
if TYPE_CHECKING:
    from typing import Any

    from procession._core import Handle


# Before the heap is made.
_standard.reserve()


class _Carrier(threading.local):
    objects: list[Any] | None = None


_carrier = _Carrier()


class carrying:
    """Within it, every shared object that this thread pickles is appended to `objects`."""

    # A class, since every message that is no mere number passes here: a generator costs thrice as much.
    __slots__ = ("_before", "_objects")

    def __init__(self, objects: list[Any]) -> None:
        self._objects = objects

    def __enter__(self) -> None:
        self._before, _carrier.objects = _carrier.objects, self._objects

    def __exit__(self, *_exc: object) -> None:
        _carrier.objects = self._before


def _reduce(shared: Any, _protocol: object = None) -> tuple[Any, ...]:
    if _carrier.objects is not None:
        _carrier.objects.append(shared)
    state = shared._export_state() if hasattr(shared, "_export_state") else None
    return _rebuild, (type(shared), shared._handle(), _ticket(), state)


def _rebuild(cls: Any, handle: Handle, ticket: Any, state: Any) -> Any:
    if ticket is not None:
        _use(ticket)
    shared = cls._attach(handle)
    if state is not None:
        shared._import_state(state)
    return shared


def _ticket() -> Any:
    """The heap's descriptor for a child of the standard library's contexts; None for everybody else.

    One a child: a descriptor may be handed on to it once only.
    """
    from multiprocessing import reduction
    from multiprocessing.context import get_spawning_popen

    popen: Any = get_spawning_popen()
    if popen is None or getattr(popen, "carries_heap", False):
        return None
    if not hasattr(popen, "_procession_ticket"):
        popen._procession_ticket = reduction.DupFd(heap_fd())
    return popen._procession_ticket


_used: set[int] = set()


def _use(ticket: Any) -> None:
    # The ticket is unpickled once a process, whatever number of objects refer to it.
    if id(ticket) not in _used:
        fd = ticket.detach()
        attach(fd)
        os.close(fd)
        _used.add(id(ticket))
        _kept.append(ticket)


# Kept alive, so that no other ticket gets the same id.
_kept: list[Any] = []


class SemLock(_core.SemLock):
    """The native lock, picklable; see ``_core.pyi``."""

    __reduce_ex__ = _reduce


class EventWord(_core.EventWord):
    """The native event, picklable; see ``_core.pyi``."""

    __reduce_ex__ = _reduce


class WaitList(_core.WaitList):
    """The native list of waiters, picklable; see ``_core.pyi``."""

    __reduce_ex__ = _reduce


class Block(_core.Block):
    """The native block of memory, picklable; see ``_core.pyi``."""

    __reduce_ex__ = _reduce


class Buffer(NativeBuffer):
    """The native buffer of a message; what is unpickled is that which was taken; see ``_core.pyi``."""

    def __reduce_ex__(self, _protocol: object) -> tuple[Any, ...]:
        _, (_, handle, ticket, _) = _reduce(self)
        return _take, (handle, ticket)


class Image(NativeBuffer):
    """The same for any number of receivers; what is unpickled is a buffer of each one's own."""

    def __reduce_ex__(self, _protocol: object) -> tuple[Any, ...]:
        _, (_, handle, ticket, _) = _reduce(self)
        return _map, (handle, ticket)


def _map(handle: Handle, ticket: Any) -> Any:
    if ticket is not None:
        _use(ticket)
    return NativeBuffer._map(handle)


def _take(handle: Handle, ticket: Any) -> Any:
    if ticket is not None:
        _use(ticket)
    return NativeBuffer._take(handle)


class Ring(_core.Ring):
    """The native ring, picklable; see ``_core.pyi``."""

    __reduce_ex__ = _reduce


class Claims(_core.Claims):
    """The native table of claims, picklable; see ``_core.pyi``."""

    __reduce_ex__ = _reduce


# A forked child sits down at once, so that the family sees it live. The native core does the rest
# of what a fork needs by itself, also where Python's hooks do not run.
os.register_at_fork(after_in_child=adopt)
