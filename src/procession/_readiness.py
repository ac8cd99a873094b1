"""A descriptor that is readable exactly while a message waits in a ring.

For ``select``, ``connection.wait`` and event loops; made only when somebody asks for it, and then
in that process alone.  Used by :mod:`procession._port`.

The descriptor is an eventfd, set for good once the ring was shut.  Whoever may have changed the
matter calls `update`, which looks at the ring and sets or clears it: this process's own puts and
gets at once, so that after a get that empties the ring it is not readable any more; what other
processes do is noticed by two threads.
One waits for messages while the descriptor is clear, the other for emptiness while it is set.
One thread in turn would not do: while it waits for emptiness, our own get may have cleared the
descriptor and another process put again, and nobody would be waiting for messages.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from . import _family

MOMENT = 0.001
"""Seconds between two calls to a thread that was about to sleep when it was called first."""


class Readiness:
    """The descriptor of one ring in this process, and the threads behind it."""

    def __init__(self, ring: _family.Ring) -> None:
        self._ring = ring
        # The lock may be taken again by its holder: a collection in the middle of `update` may
        # drop a queue and so end up in `close`.
        self._turn = threading.Condition(threading.RLock())
        self._open = True
        self._is_set = False
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._threads: frozenset[threading.Thread] = frozenset()
        self.update()
        try:
            self._start(False, ring.wait_readable)
            self._start(True, ring.wait_drained)
        except BaseException:
            # The system has no thread for us: what we have so far goes again.
            self.close()
            raise

    def fileno(self) -> int:
        """The descriptor; it stays this object's."""
        return self._fd

    def update(self) -> None:
        """Make the descriptor say what is true now."""
        with self._turn:
            waiting = self._ring.qsize() > 0 or self._ring.is_shut()
            if self._open and waiting != self._is_set:
                if waiting:
                    os.eventfd_write(self._fd, 1)
                else:
                    os.eventfd_read(self._fd)
                self._is_set = waiting
                self._turn.notify_all()

    def put(self, *args: Any) -> bool:
        """As the ring's, and the descriptor is readable when it returns."""
        try:
            return self._ring.put(*args)
        finally:
            self.update()

    def get(self, *args: Any) -> bytes | _family.NativeBuffer | None:
        """As the ring's `take`; after the last message the descriptor is not readable when it returns."""
        try:
            return self._ring.take(*args)
        finally:
            self.update()

    def close(self) -> None:
        """End the threads, close the descriptor.  May be called by the collector, in any thread."""
        with self._turn:
            self._open = False
            self._turn.notify_all()
        # One of the threads itself: it goes as soon as it is back in its loop, and ends the other.
        if threading.current_thread() not in self._threads:
            self._end()

    def forget(self) -> None:
        """In a forked child: threads and waits are the parent's, only the descriptor is a copy."""
        self._turn = threading.Condition(threading.RLock())
        self._open = False
        self._threads = frozenset()
        self._end()

    def _start(self, when: bool, wait: Callable[[], bool]) -> None:
        name = "ProcessionQueueDrained" if when else "ProcessionQueueReadable"
        thread = threading.Thread(target=self._watch, args=(when, wait), name=name, daemon=True)
        thread.start()
        with self._turn:
            self._threads |= {thread}

    def _watch(self, when: bool, wait: Callable[[], bool]) -> None:
        while self._await_turn(when):
            wait()
            self.update()
        with self._turn:
            self._threads -= {threading.current_thread()}
        self._end()

    def _await_turn(self, when: bool) -> bool:
        with self._turn:
            self._turn.wait_for(lambda: self._is_due(when) or not self._open)
            return self._open

    def _is_due(self, when: bool) -> bool:
        # That of a ring which was shut is set for good, as for the end of a stream.
        return self._is_set is when and not (when and self._ring.is_shut())

    def _end(self) -> None:
        while self._threads:
            # Again, since a call that comes just before the thread sleeps is not heard.
            self._ring.interrupt()
            time.sleep(MOMENT)
        with self._turn:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
