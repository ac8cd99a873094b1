"""Queue, SimpleQueue and JoinableQueue over a ring in shared memory.

``put`` returns when the item is in shared memory: there is no feeder thread, what was put before a
process ends is never lost, a process with unread items ends like any other, and what cannot be
pickled raises in ``put``.  Queues can be pickled at any time, into running pools and through queues.

``close`` closes this process's end; a thread that waits in ``get`` then gets the same error as
later callers, one that waits for room in ``put`` still puts its item.  Used by contexts, programs.
"""

from __future__ import annotations

import os
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable
from multiprocessing import queues as _std
from queue import Empty, Full
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import _family
from ._alias import mirror
from ._condition import Gauge
from ._ends import HANDLE_CLOSED, Reader, Writer
from ._port import Port, is_closed
from .errors import ShutDown, TransferError
from .reduction import parts
from .start import gate
from .synchronize import Lock

__all__ = ["JoinableQueue", "Queue", "SimpleQueue"]

T = TypeVar("T")

FEEDER = frozenset({"_after_fork", "_feed", "_finalize_close", "_finalize_join", "_reset", "_start_thread"})
"""What only the stdlib's queues call."""

_NOTHING: Any = object()


class _Plain:
    """Lets a class that cannot be subscripted be written with its type argument as a base."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def __getitem__(self, _argument: object) -> type:
        return self._kind


if TYPE_CHECKING:
    from multiprocessing.queues import JoinableQueue as _StdJoinableQueue
    from multiprocessing.queues import Queue as _StdQueue
    from multiprocessing.queues import SimpleQueue as _StdSimpleQueue
else:
    _StdQueue, _StdJoinableQueue = _Plain(_std.Queue), _Plain(_std.JoinableQueue)
    _StdSimpleQueue = _Plain(_std.SimpleQueue)


class shown(Generic[T]):
    """An attribute worked out when it is read, until somebody assigns to it."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make

    def __get__(self, obj: Any, owner: type) -> T:
        return self._make(obj)


class lazily(shown[T]):
    """An attribute made when it is first read, one for all threads."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, obj: Any, owner: type) -> T:
        made: T = vars(obj).setdefault(self._name, self._make(obj))
        return made


class _Ends:
    """What the three queues share: their port, how they are pickled, the stdlib's private names.

    The private names are there for the libraries that use them.  `_reader` and `_writer` do what
    they should.  The locks are real, and one for all processes that got the queue after they were
    first used, but only those who use them too are kept out: put and get need no lock.
    """

    # A subclass may restore its ends by hand, from a state of its own.
    _port: Port = lazily(lambda self: vars(self)["_reader"]._port)  # type: ignore[assignment]
    _reader = lazily(lambda self: self._make_reader())
    _writer = lazily(lambda self: Writer(self._port))
    _rlock = lazily(lambda self: Lock())
    _wlock = lazily(lambda self: Lock())
    _poll = shown(lambda self: self._reader.poll)
    _recv_bytes = shown(lambda self: self._reader.recv_bytes)
    _send_bytes = shown(lambda self: self._writer.send_bytes)

    def _make_reader(self) -> Reader:
        gate.need()  # as if somebody waited for it
        return Reader(self._port)

    _parts: tuple[str, ...] = ("_reader", "_writer", "_rlock", "_wlock")
    """What a pickle consists of."""

    def __getstate__(self) -> Any:
        """The parts; None for one that was never used.

        Not the attributes that a subclass adds: as with the stdlib's queues it must see to them,
        and to what of them cannot travel, by itself.
        """
        made = {"_reader": Reader(self._port), "_writer": Writer(self._port), **vars(self)}
        return tuple(made.get(name) for name in self._parts)

    def __setstate__(self, state: Any) -> None:
        parts = zip(self._parts, state, strict=True)
        vars(self).update({name: part for name, part in parts if part is not None})

    def __repr__(self) -> str:
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        ring = self._port.ring
        limit = f" of {ring.maxsize}" if ring.maxsize else ""
        return f"<{name} at {id(self):#x}: {ring.qsize()}{limit} items>"


class Queue(_Ends, _StdQueue[T]):
    """A queue of at most `maxsize` items (zero or less: no limit but memory).

    ``put(obj, block=True, timeout=None)`` raises Full, ``get(block=True, timeout=None)`` Empty when
    `timeout` seconds went by, or at once if `block` is false; both ValueError after ``close``.
    What cannot be pickled raises TransferError in ``put``; in a subclass with a
    ``_on_queue_feeder_error(error, obj)`` of its own, that is called instead.
    """

    _parts = ("_ignore_epipe", "_maxsize", "_reader", "_writer", "_rlock", "_wlock", "_sem", "_opid")
    # There is no feeder thread.
    _thread = _jointhread = _close = None
    _joincancelled = _ignore_epipe = False
    # Nothing waits to be sent, so the buffer is empty and its condition never notified.
    _buffer: Any = lazily(lambda self: deque())
    _notempty = lazily(lambda self: threading.Condition(threading.Lock()))
    _closed = shown(lambda self: is_closed(self._port.get))
    # How much room there is; it can be read, not taken from.
    _sem = shown(lambda self: Gauge(lambda: self._maxsize - self.qsize()))

    def __init__(self, maxsize: int = 0, *, ctx: Any = None) -> None:
        self._port = Port(_family.Ring(max(maxsize, 0)))
        self._maxsize = maxsize if maxsize > 0 else _family.SEM_VALUE_MAX
        self._opid = os.getpid()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """A subclass that has its own feeder thread gets the stdlib's queue, which has one."""
        super().__init_subclass__(**kwargs)
        if not FEEDER.isdisjoint(vars(cls)):
            cls.__bases__ = tuple(_std.Queue if base is Queue else base for base in cls.__bases__)

    def put(self, obj: T, block: bool = True, timeout: float | None = None) -> None:
        """Append `obj`, waiting for room; it is in shared memory when this returns.

        Raises Full if there was no room within `timeout` seconds (at once if `block` is false),
        ShutDown after `shutdown`, also while it waits, TransferError for what cannot be pickled,
        ValueError after `close`, MemoryError where the system refuses.  Whatever is raised, nothing
        was put.
        """
        port = self._port
        if timeout is None and port.offer(obj):
            return
        carry: list[Any] = []
        try:
            data = parts(obj, carry)
        except Exception as error:
            if self._is_told(error, obj):
                return
            raise
        if not (port.put(data, block, timeout, 0, carry) if carry else port.put(data, block, timeout)):
            raise ShutDown if port.ring.is_shut() else Full

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Take the oldest item, waiting for one.

        Raises Empty if none came within `timeout` seconds (at once if `block` is false), ShutDown after
        `shutdown` when no item is left, ValueError after `close`, and what rebuilding the item raises,
        which then is gone.
        """
        port = self._port
        item: T = port.fetch(_NOTHING)
        if item is _NOTHING:
            data = port.take(timeout) if block else port.rest()
            if data is None:
                raise Empty
            item = port.unpack(data)
        return item

    def put_many(self, items: Iterable[T]) -> None:
        """Append all items in order, waiting for room.

        Raises what `put` does; the items before the one that failed are in the queue.
        """
        for item in items:
            self.put(item)

    def get_many(self, n: int, block: bool = True, timeout: float | None = None) -> list[T]:
        """Take what is there, at most `n` items, waiting only for the first; Empty as for ``get``."""
        items = [self.get(block, timeout)] if n > 0 else []
        try:
            while len(items) < n:
                items.append(self.get(False))
        except Empty:
            pass
        return items

    def qsize(self) -> int:
        """How many items wait; others may put and get meanwhile."""
        return self._port.ring.qsize()

    def empty(self) -> bool:
        """Does no item wait?  OSError for a closed queue that was in use."""
        ring = self._port.ring
        if self._closed and ring.unfinished():
            raise OSError(HANDLE_CLOSED)
        return not ring.qsize()

    def full(self) -> bool:
        """Is there no room?"""
        return 0 < self._port.ring.maxsize <= self.qsize()

    def shutdown(self, immediate: bool = False) -> None:
        """Take no more items, in any process: as of ``queue.Queue`` since Python 3.13.

        From now on `put` raises ShutDown, and `get` when no item is left; so do those that wait at
        this moment.  If `immediate`, the items that are there are dropped; each counts as dealt with
        (``task_done``) for who waits in `join`.  A second call does no harm.
        """
        self._port.shut(immediate=immediate)

    def close(self) -> None:
        """Use this queue no more in this process; what was put stays for the others.

        It may be called again.
        """
        self._port.close(ValueError, f"Queue {self!r} is closed")

    def join_thread(self) -> None:
        """Nothing to wait for: items are where they belong when ``put`` returns.

        Raises AssertionError if the queue was not closed.
        """
        if not self._closed:
            raise AssertionError(f"Queue {self!r} not closed")

    def cancel_join_thread(self) -> None:
        """Nothing to cancel, and nothing gets lost."""
        self._joincancelled = True

    def _is_told(self, error: Exception, obj: T) -> bool:
        """Was the hook of a subclass told that `obj` cannot be sent?"""
        name = "_on_queue_feeder_error"
        hook = getattr(self, name)
        if hook is getattr(_std.Queue, name):
            return False
        hook(error.__cause__ if isinstance(error, TransferError) and error.__cause__ else error, obj)
        return True

    __class_getitem__: Any = classmethod(types.GenericAlias)


class JoinableQueue(Queue[T], _StdJoinableQueue[T]):
    """A queue that counts what was put, and waits in ``join`` until all of it was dealt with."""

    _unfinished_tasks = shown(lambda self: Gauge(self._port.ring.unfinished))

    def task_done(self) -> None:
        """An item that was taken is dealt with; ValueError when called more often than ``put``."""
        self._port.ring.task_done()

    def join(self) -> None:
        """Wait, without limit, until ``task_done`` was called for every item put."""
        self._port.ring.join()


class SimpleQueue(_Ends, _StdSimpleQueue[T]):
    """A queue without limits and times: ``put(obj)``, ``get()``, ``empty()``, ``close()``.

    After ``close`` all raise OSError.
    """

    def __init__(self, *, ctx: Any = None) -> None:
        self._port = Port(_family.Ring())

    def put(self, obj: T) -> None:
        """Append `obj`; it is in shared memory when this returns.

        Raises TransferError for what cannot be pickled, ShutDown after `shutdown`, OSError after `close`.
        """
        port = self._port
        if port.offer(obj):
            return
        carry: list[Any] = []
        data = parts(obj, carry)
        if not (port.put(data, True, None, 0, carry) if carry else port.put(data)):
            raise ShutDown

    def get(self) -> T:
        """Take the oldest item, waiting for one without limit.

        Raises ShutDown after `shutdown` when no item is left, OSError after `close`.
        """
        port = self._port
        item: T = port.fetch(_NOTHING)
        if item is _NOTHING:
            item = port.unpack(port.take())
        return item

    def empty(self) -> bool:
        """Does no item wait?"""
        if self._reader.closed:
            raise OSError(HANDLE_CLOSED)
        return not self._port.ring.qsize()

    def shutdown(self, immediate: bool = False) -> None:
        """Take no more items, in any process; see :meth:`Queue.shutdown`."""
        self._port.shut(immediate=immediate)

    def close(self) -> None:
        """Use this queue no more in this process; what was put stays for the others."""
        self._port.close(OSError, HANDLE_CLOSED)

    __class_getitem__: Any = classmethod(types.GenericAlias)


mirror(__name__, _std)
