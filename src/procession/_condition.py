"""Condition over a native list of waiters.

Public as :mod:`procession.synchronize`.
"""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import synchronize as _std
from typing import Any, Self

from . import _family
from ._locks import RLock
from .errors import DeadlockError


class Gauge:
    """A number that can be read like a semaphore's value, where the stdlib has a semaphore."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._get_value = self.get_value = read

    @property
    def _semlock(self) -> Self:
        return self

    def _is_zero(self) -> bool:
        return self._get_value() == 0


class Condition(_std.Condition):
    """A lock, and a list of who waits for a change of what it guards.

    `lock`: a Lock or RLock, a new RLock by default; TypeError for anything else.
    """

    _lock: Any

    def __init__(self, lock: Any = None, *, ctx: Any = None) -> None:
        self._lock = lock or RLock(ctx=ctx)
        if not hasattr(self._lock, "_semlock"):
            raise TypeError(f"a Condition needs a Lock or RLock, not {lock!r}")
        self._waiters = _family.WaitList()
        self._make_methods()

    def __getstate__(self) -> tuple[Any, ...]:
        bound = {"acquire", "release", "_take_again"}
        return ({name: value for name, value in vars(self).items() if name not in bound},)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        vars(self).update(state[0])
        self._make_methods()

    def _make_methods(self) -> None:
        self.acquire = self._lock.acquire  # type: ignore[method-assign]
        self.release = self._lock.release  # type: ignore[method-assign]
        # A subclass of a lock may have an acquire of its own, which belongs to its release.
        plain = getattr(type(self._lock), "acquire", None) is _family.SemLock.acquire
        self._take_again = self._lock._take_again if plain else self._lock.acquire

    @property
    def _sleeping_count(self) -> Gauge:
        return Gauge(self._waiters.__len__)

    @property
    def _woken_count(self) -> Gauge:
        """Who was woken is no longer in the list: there is nothing to subtract from it."""
        return Gauge(int)

    _wait_semaphore = _woken_count

    def _is_held(self) -> bool:
        return bool(self._lock._semlock._is_mine())

    def _has(self, depth: int) -> bool:
        # The lock knows how often it is held; a count of ours could miss a broken step.
        return self._is_held() and self._lock._semlock._count() >= depth

    def notify(self, n: int = 1) -> None:
        """Wake up to `n` of those who wait, the longest waiting first; AssertionError without the lock."""
        if not self._is_held():
            raise AssertionError("lock is not owned: acquire() the condition before notify()")
        if n > 0:
            self._waiters.notify(n)

    def wait(self, timeout: float | None = None) -> bool:  # noqa: C901  # a signal may raise between rooms
        """Give the lock back, however often it was taken, sleep until notified, take it again.

        False when `timeout` seconds went by.  Whatever is raised, the lock is held again, and a
        notification that came is handed to the next who waits.  OwnerDiedError when another
        process died with the lock; AssertionError if the caller does not hold it.  DeadlockError, the
        lock not being held, where all of a circle of waits want a condition's lock again.
        """
        if not self._is_held():
            raise AssertionError("must acquire() condition before using wait()")
        depth = self._lock._semlock._count()
        answer: list[bool] = []
        problem: BaseException | None = None
        # A signal handler may raise at any call, so none stands outside the two try blocks until
        # the lock is held again.
        try:
            self._sleep(depth, timeout, answer)
        except BaseException as error:  # noqa: BLE001  # raised below
            problem = error
        while True:
            try:
                while not self._has(depth):
                    self._take_again()
                break
            except DeadlockError as error:
                problem = error  # nobody else can be told: the others wait as we do, for what we hold
                break
            except BaseException as error:  # noqa: BLE001
                problem = error
        if problem is None:
            return answer[0]
        if True in answer:
            self._waiters.notify(1)
        try:
            raise problem
        finally:
            del problem  # it refers to this frame, which would keep both alive

    def _sleep(self, depth: int, timeout: float | None, answer: list[bool]) -> None:
        """Enter the list, release the lock, sleep; the outcome goes into `answer`.

        A signal handler may also raise between a call and the assignment of its value.  There is
        no such moment within one built-in call: hence ``extend(map(...))``, which calls and keeps.
        """
        tickets: list[int] = []
        sleep = map(self._waiters.wait, tickets, [timeout])
        asleep = False
        try:
            tickets.extend(map(_family.WaitList.enter, [self._waiters]))
            for _ in range(depth):
                self._lock.release()
            asleep = True
            answer.extend(sleep)
        except BaseException:
            if tickets and not asleep:
                answer.append(self._waiters.wait(tickets[0], 0))
            raise
