"""A lock for what the garbage collector, too, wants to change.

Proxies end when the collector says so: in any thread, in the middle of anything, and that may be code
which holds the very lock that their end needs.  So an end is only noted, and seen to at once where
the lock is free, else by its holder when he is done.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from multiprocessing import util as _util
from typing import Any


class Turn:
    """A context manager: one thread at a time.  `act` does what was put off, with the lock held."""

    __slots__ = ("_act", "_lock", "_put_off", "_user")

    def __init__(self, act: Callable[[Any], object]) -> None:
        self._act = act
        self._lock = threading.Lock()
        self._user: int | None = None
        self._put_off: deque[Any] = deque()

    def __enter__(self) -> None:
        if self._user == threading.get_ident():
            raise RuntimeError("a signal handler used a manager while its thread was at the same manager")
        self._lock.acquire()
        self._user = threading.get_ident()

    def __exit__(self, *_exc: object) -> None:
        self._user = None
        self._lock.release()
        self._settle()

    def put_off(self, item: object) -> None:
        """Have `act` called with `item` as soon as may be.  Never raises, never waits for a thread."""
        self._put_off.append(item)
        self._settle()

    def _settle(self) -> None:
        while self._put_off and self._lock.acquire(blocking=False):
            # What is given back ends outside the lock: more may end with it, or it may take its time.
            left = None
            try:
                left = self._act(self._put_off.popleft())
            except IndexError:
                pass  # another thread was faster
            except Exception as error:  # noqa: BLE001 - nobody could do anything about it
                _util.info("a manager's object was not released: %s", error)
            finally:
                self._lock.release()
            del left
