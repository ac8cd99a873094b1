"""A lock for what the garbage collector, too, wants to change.

Proxies end when the collector says so: in any thread, in the middle of anything, and that may be code
which holds the very lock that their end needs.  So an end is only noted, and seen to at once where
the lock is free, else by its holder when he is done.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing import util as _util
from typing import Any


class Turn:
    """A lock, and what was put off until its holder is done: `act` does that, with the lock held."""

    __slots__ = ("_act", "_lock", "_put_off", "_user")

    def __init__(self, act: Callable[[Any], object]) -> None:
        self._act = act
        self._lock = threading.Lock()
        self._user: int | None = None
        self._put_off: deque[Any] = deque()

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """With the lock held, by one thread at a time; RuntimeError if that is this one already."""
        if self._user == threading.get_ident():
            raise RuntimeError("a signal handler used a manager while its thread was at the same manager")
        try:
            # A generator: if a handler raises when the lock is taken and the caller not yet told, it is
            # dropped, and the lock with it.
            with self._lock:
                self._user = threading.get_ident()
                try:
                    yield
                finally:
                    self._user = None
        finally:
            self._settle()

    def put_off(self, item: object) -> None:
        """Have `act` called with `item` as soon as may be; waits for no other thread."""
        self._put_off.append(item)
        self._settle()

    def _settle(self) -> None:
        while self._put_off:
            left = None  # what ends outside the lock: more may end with it, or it may take its time
            got: list[bool] = []
            try:
                # So the result has a place before a signal handler can raise.
                got.extend(map(self._lock.acquire, (False,)))
                if not got[0]:
                    return
                left = self._act(self._put_off.popleft())
            except IndexError:
                pass  # another thread was faster
            except Exception as error:  # noqa: BLE001 - nobody could do anything about it
                _util.info("a manager's object was not released: %s", error)
            finally:
                if True in got:
                    self._lock.release()
            del left
