"""A queue's end in this process: a ring, and what may still be done with it here.

A queue, its ``_reader`` and its ``_writer`` share one port, so closing any of them is seen by the
others.  Used by :mod:`procession.queues`.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, Self, overload

from . import _family
from . import _private as private
from ._readiness import MOMENT, Readiness
from .errors import ShutDown
from .reduction import parts

Data = bytes | _family.NativeBuffer
"""A message: a large one is where it lies in shared memory, which is free when nobody refers to it."""

_ports: weakref.WeakSet[Port] = weakref.WeakSet()
"""Ports with something that a forked child must not inherit."""

_making = threading.RLock()
"""Held while a descriptor is made, which two threads may ask for at once."""


class Port:
    """`put`, `get`, `offer`, `fetch` are the ring's own until somebody asks for a descriptor or closes.

    So the ordinary message pays neither for descriptors nor for a look whether the queue is closed.
    """

    __slots__ = (
        "__weakref__",
        "_finalizer",
        "_is_noted",
        "_readiness",
        "fetch",
        "get",
        "offer",
        "put",
        "ring",
        "waiting",
    )

    get: Callable[..., Data | None]
    put: Callable[..., bool]
    fetch: Callable[[Any], Any]
    offer: Callable[[object], bool]

    def __init__(self, ring: _family.Ring) -> None:
        self.ring = ring
        self._reset()

    def _reset(self) -> None:
        self.put = self.ring.put
        self.get = self.ring.take
        self.offer = self.ring.offer
        self.fetch = self.ring.fetch
        self._readiness: Readiness | None = None
        self._finalizer: Callable[[], object] | None = None
        self._is_noted = False
        self.waiting: list[int] = []
        """Idents of this process's threads that sleep in `take`."""

    def __reduce__(self) -> tuple[type[Self], tuple[_family.Ring]]:
        return type(self), (self.ring,)

    @overload
    def take(self, timeout: None = None) -> Data: ...
    @overload
    def take(self, timeout: float | None) -> Data | None: ...
    def take(self, timeout: float | None = None) -> Data | None:
        """Wait for the next message; None when `timeout` seconds went by.

        Raises what `close` says if the port is closed meanwhile, ShutDown if the ring was shut and no
        message is left.
        """
        end = None if timeout is None else time.monotonic() + timeout
        left = timeout
        me = threading.get_ident()
        self._note()
        try:
            self.waiting.append(me)
            # Looked up anew each time: `close` replaces it, then wakes us.
            while (data := self.get(True, left)) is None and (data := self.rest()) is None:
                if end is not None and (left := end - time.monotonic()) <= 0:
                    return None
        finally:
            self.waiting.remove(me)
        return data

    def rest(self) -> Data | None:
        """After a `get` that found nothing: what a ring that was shut since still has.

        None if the ring is not shut; raises ShutDown if it is, and has nothing any more.
        """
        if not self.ring.is_shut():
            return None
        data = self.get(False)
        if data is None:
            raise ShutDown
        return data

    def shut(self, *, immediate: bool) -> None:
        """From now on, for all processes, `put` gives False, and `take` raises when all is taken.

        `immediate`: what is there is dropped, and counts as dealt with.
        """
        self.ring.shut()
        while immediate and self.get(False) is not None:
            self.ring.drop_carried()
            self.ring.task_done()

    def unpack(self, data: Data) -> Any:
        """The object in the message that this thread has just taken."""
        try:
            return _family.loads(data)
        finally:
            if self.ring.carried():
                self.ring.drop_carried()

    def send(self, obj: object) -> None:
        """Put an object, whatever time it takes.  ShutDown if the ring was shut."""
        carry: list[_family.Shared] = []
        self.send_bytes(parts(obj, carry), carry)

    def send_bytes(self, data: Any, carry: list[_family.Shared]) -> None:
        """Put a message, whatever time it takes.  ShutDown if the ring was shut."""
        if not (self.put(data, True, None, 0, carry) if carry else self.put(data)):
            raise ShutDown

    def poll(self, timeout: float | None) -> bool:
        """Wait for a message without taking it; False when `timeout` seconds went by.

        True as well where none will come, since the ring was shut.
        """
        end = None if timeout is None else time.monotonic() + timeout
        left = timeout
        # Whoever interrupts the ring wakes us for nothing.
        while not self.ring.wait_readable(left):
            if end is not None and (left := end - time.monotonic()) <= 0:
                return False
        return True

    def descriptor(self) -> int:
        """An eventfd, readable exactly while a message waits; this process's own."""
        private.undo(_after_fork)
        with _making:
            if self._readiness is None:
                self._readiness = Readiness(self.ring)
                self._finalizer = weakref.finalize(self, self._readiness.close)
                self.get, self.put = self._readiness.get, self._readiness.put
                self.fetch, self.offer = self._readiness.fetch, self._readiness.offer
                self._note()
            return self._readiness.fileno()

    def close(self, error: type[Exception], message: str) -> None:
        """From now on `put` and `get` raise, in threads that wait in `take` too."""
        self.close_put(error, message)
        self.close_get(error, message)

    def close_put(self, error: type[Exception], message: str) -> None:
        """From now on `put` raises this error."""
        self.put = self.offer = partial(_refuse, error, message)
        self._note()

    def close_get(self, error: type[Exception], message: str) -> None:
        """From now on `get` raises this error, and the descriptor is gone."""
        self.get = self.fetch = partial(_refuse, error, message)
        self._note()
        if self.waiting:
            self.ring.interrupt()
        while set(self.waiting) - {threading.get_ident()}:
            time.sleep(MOMENT)
            self.ring.interrupt()
        if self._finalizer:
            self._finalizer()

    def _note(self) -> None:
        """From now on there is something here that concerns this process alone."""
        if not self._is_noted:
            private.undo(_after_fork)
            _ports.add(self)
            self._is_noted = True

    def after_fork(self) -> None:
        """A forked child has an end of its own: open, and without a descriptor."""
        if self._readiness:
            self._readiness.forget()
        self._reset()


def is_closed(method: Callable[..., Any]) -> bool:
    """Was this `put` or `get` of a port closed?"""
    return isinstance(method, partial)


def _refuse(error: type[Exception], message: str, *_: object) -> NoReturn:
    raise error(message)


def _after_fork() -> None:
    global _making
    _making = threading.RLock()
    for port in list(_ports):
        port.after_fork()
    _ports.clear()
