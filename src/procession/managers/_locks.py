"""The locks of a manager's server, which know the client that holds them.

When a client ends without having given a lock back, one who waits, or the next to come, is told by
OwnerDiedError, and the lock is free: as with the locks of :mod:`procession.synchronize`.
"""

from __future__ import annotations

import threading
from typing import Any, Protocol

from ..errors import OwnerDiedError, called

__all__ = ["Client", "Condition", "Lock", "RLock", "serving"]


class Client(Protocol):
    """What a lock asks of who holds it: a process."""

    pid: int
    name: str

    def hold(self, lock: Lock) -> bool:
        """Note that it holds the lock; False if it has ended."""

    def let_go(self, lock: Lock) -> None:
        """It holds the lock no more."""


class _Serving(threading.local):
    client: Client | None = None


serving = _Serving()
"""Whose calls this thread answers; a client of the stdlib's is nobody that is known."""


class Lock:
    """As :class:`threading.Lock`."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._client: Client | None = None
        self._thread = self._count = 0
        self._dead: Client | None = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; OwnerDiedError if its holder died, and then it is free.

        ValueError for a `timeout` (seconds) below zero other than -1, or beside `blocking` False.
        """
        limit = _limit(blocking, timeout)
        with self._changed:
            if self._is_again_mine():
                self._count += 1
                return True
            return self._changed.wait_for(self._is_free, limit) and self._take(1)

    def release(self) -> None:
        """Give it back, whoever took it; RuntimeError if nobody did."""
        with self._changed:
            if self._dead is None and not self._count:
                raise RuntimeError("release unlocked lock")
            self._give()

    def locked(self) -> bool:
        """Does anybody hold it?"""
        return self._count > 0

    def abandon(self, client: Client) -> None:
        """The client has ended."""
        with self._changed:
            if self._client is client:
                self._give()
                self._dead = client

    __enter__ = acquire

    def __exit__(self, *_error: object) -> None:
        self.release()

    def __repr__(self) -> str:
        client = self._client
        held = f" held by process {called(client.pid, client.name)}" if client else ""
        return f"<{'locked' if self.locked() else 'unlocked'} {type(self).__name__}{held}>"

    def _is_free(self) -> bool:
        return not self._count

    def _is_again_mine(self) -> bool:
        return False

    def _take(self, count: int) -> bool:
        client, dead = serving.client, self._dead
        if dead is not None:
            self._give()
            raise OwnerDiedError(dead.pid, dead.name)
        if client is not None and not client.hold(self):
            self._changed.notify()  # it died while it waited: the next, please
            return False
        self._client, self._thread, self._count = client, threading.get_ident(), count
        return True

    def _give(self) -> None:
        if self._client is not None:
            self._client.let_go(self)
        self._client = self._dead = None
        self._thread = self._count = 0
        self._changed.notify()


class RLock(Lock):
    """As :class:`threading.RLock`; its holder is a thread of a client."""

    def release(self) -> None:
        """Give it back once; RuntimeError if another thread holds it, or nobody."""
        with self._changed:
            if not self._is_again_mine():
                raise RuntimeError("cannot release un-acquired lock")
            self._count -= 1
            if not self._count:
                self._give()

    def _is_again_mine(self) -> bool:
        return self._count > 0 and self._thread == threading.get_ident()

    # What a threading.Condition asks of such a lock.

    def _is_owned(self) -> bool:
        return self._is_again_mine()

    def _release_save(self) -> int:
        with self._changed:
            count = self._count
            self._give()
        return count

    def _acquire_restore(self, count: int) -> None:
        """Held afterwards, whatever is raised."""
        died: list[OwnerDiedError] = []
        with self._changed:
            while True:
                self._changed.wait_for(self._is_free)
                try:
                    self._take(count)
                    break
                except OwnerDiedError as error:
                    died.append(error)
        if died:
            raise died[0]


def Condition(lock: Any = None) -> threading.Condition:
    """A condition over a lock, an :class:`RLock` by default."""
    over: Any = RLock() if lock is None else lock
    return threading.Condition(over)


def _limit(blocking: bool, timeout: float) -> float | None:
    if timeout == -1:
        return None if blocking else 0
    if not blocking:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if timeout < 0:
        raise ValueError(f"timeout must be a number of seconds from zero on, or -1 for ever, not {timeout}")
    return min(timeout, threading.TIMEOUT_MAX)
