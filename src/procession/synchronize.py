"""Lock, RLock, Semaphore, BoundedSemaphore, Condition, Event and Barrier, for processes and threads.

The locks, the semaphores and the event *are* native objects: ``acquire``, ``release``, ``wait``
and the with statement run no Python code.  Everything here can be pickled at any time, to any
process of the family.  Who uses it: contexts, :mod:`procession.queues`, ``sharedctypes``, programs.

When the holder of a Lock or RLock dies, one waiter (or the next caller) gets ``OwnerDiedError``
and the lock is free again.  A semaphore has no holder: what a dead process took stays taken.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import synchronize as _std
from threading import BrokenBarrierError
from typing import Any, Self

from . import _family
from ._alias import mirror
from ._family import RECURSIVE_MUTEX, SEM_VALUE_MAX, SEMAPHORE
from .errors import OwnerDiedError
from .heap import BufferWrapper, Keeping

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]


# ---- locks and semaphores -------------------------------------------------------------------


class SemLock(Keeping, _family.SemLock, _std.SemLock):
    """What locks and semaphores have in common.  `ctx` is accepted for the stdlib's sake.

    Subclasses may take any arguments in ``__init__``; ``__new__`` decides what is made.
    """

    def __new__(cls, kind: int, value: int, maxvalue: int, *args: Any, **kwargs: Any) -> Self:
        return _family.SemLock.__new__(cls, kind, value, maxvalue)

    def __init__(self, kind: int, value: int, maxvalue: int, *, ctx: Any = None) -> None:
        """Nothing is left to do after ``__new__``, and the stdlib's must not run."""

    @property
    def _semlock(self) -> Self:
        """The stdlib's objects keep the native part here; ours are it."""
        return self

    def locked(self) -> bool:
        """Would ``acquire`` have to wait?  (The stdlib has it from 3.14.)"""
        return self._is_zero()


class Lock(SemLock, _std.Lock):
    """Taken by one thread of one process at a time; anybody may release it.

    ``acquire(block=True, timeout=None)`` gives whether it was taken; `timeout` is in seconds.
    ValueError from ``release`` when nobody holds it.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """A free lock; the arguments are ``__init__``'s."""
        return _family.SemLock.__new__(cls, SEMAPHORE, 1, 1, owned=True)

    def __init__(self, *, ctx: Any = None) -> None:
        pass


class RLock(SemLock, _std.RLock):
    """A lock that its holder, one thread of one process, may take again.

    AssertionError from ``release`` when another holds it, or nobody.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """A free lock; the arguments are ``__init__``'s."""
        return _family.SemLock.__new__(cls, RECURSIVE_MUTEX, 1, 1)

    def __init__(self, *, ctx: Any = None) -> None:
        pass


class Semaphore(SemLock, _std.Semaphore):
    """A number that ``acquire`` takes from and ``release`` adds to; at 0 ``acquire`` waits.

    ValueError if `value` is negative.
    """

    def __new__(cls, value: int = 1, *args: Any, **kwargs: Any) -> Self:
        """A semaphore with this value; further arguments are ``__init__``'s."""
        return _family.SemLock.__new__(cls, SEMAPHORE, value, SEM_VALUE_MAX)

    def __init__(self, value: int = 1, *, ctx: Any = None) -> None:
        if value != self._get_value():
            raise TypeError(
                f"{type(self).__qualname__} was made with the value {self._get_value()}, not {value}:"
                " a subclass with other arguments must override __new__ as well as __init__"
            )


class BoundedSemaphore(Semaphore, _std.BoundedSemaphore):
    """A semaphore whose ``release`` raises ValueError where it would pass the first value."""

    def __new__(cls, value: int = 1, *args: Any, **kwargs: Any) -> Self:
        """A semaphore that begins at its most; further arguments are ``__init__``'s."""
        return _family.SemLock.__new__(cls, SEMAPHORE, value, value)


class Event(Keeping, _family.EventWord, _std.Event):
    """A flag to wait for; ``set`` followed at once by ``clear`` still wakes all who waited."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """A flag that is not set; the arguments are ``__init__``'s."""
        return _family.EventWord.__new__(cls)

    def __init__(self, *, ctx: Any = None) -> None:
        pass


class Gauge:
    """A number that can be read like a semaphore's value, where the stdlib has a semaphore."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._get_value = self.get_value = read

    @property
    def _semlock(self) -> Self:
        return self

    def _is_zero(self) -> bool:
        return self._get_value() == 0


# ---- condition ------------------------------------------------------------------------------


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
        bound = {"acquire", "release"}
        return ({name: value for name, value in vars(self).items() if name not in bound},)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        vars(self).update(state[0])
        self._make_methods()

    def _make_methods(self) -> None:
        self.acquire = self._lock.acquire  # type: ignore[method-assign]
        self.release = self._lock.release  # type: ignore[method-assign]

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

    def notify(self, n: int = 1) -> None:
        """Wake up to `n` of those who wait, the longest waiting first; AssertionError without the lock."""
        if not self._is_held():
            raise AssertionError("lock is not owned: acquire() the condition before notify()")
        if n > 0:
            self._waiters.notify(n)

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock back, however often it was taken, sleep until notified, take it again.

        False when `timeout` seconds went by.  Whatever is raised, the lock is held again, and a
        notification that came is handed to the next who waits.  OwnerDiedError when another
        process died with the lock; AssertionError if the caller does not hold it.
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
                # The lock knows how often it is held; a count of ours could miss a broken step.
                while not self._is_held() or self._lock._semlock._count() < depth:
                    self._lock.acquire()
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


# ---- barrier --------------------------------------------------------------------------------

FILLING, DRAINING, RESETTING, BROKEN = 0, 1, -1, -2
STATE, DEAD, SEATS = 0, 1, 2
PATIENCE = 0.5
"""Seconds after which the first who waits in a barrier looks whether the others live."""


class Barrier(_std.Barrier):
    """Where `parties` threads or processes wait until all have come.

    ``wait`` gives each a different number from 0 on.  One of them calls `action` before all go
    on.  `timeout` (seconds) is the default of ``wait``.  A process that dies while it waits here
    breaks the barrier for the others, within a second where few wait.

    In shared memory: the state, the pid of who died, and a seat for each party with the member's
    id in it.  Each change is one store, so the state is sound wherever a process is killed, and a
    dead holder of the lock leaves nothing to repair but its seat.
    """

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        ctx: Any = None,
    ) -> None:
        if parties < 1:
            raise ValueError(f"a Barrier needs at least 1 party, not {parties}")
        wrapper = BufferWrapper(8 * (SEATS + parties))
        self.__setstate__((parties, action, timeout, Condition(ctx=ctx), wrapper, {}))

    def __getstate__(self) -> tuple[Any, ...]:
        own = {"_parties", "_action", "_timeout", "_cond", "_wrapper", "_array"}
        extra = {name: value for name, value in vars(self).items() if name not in own}
        return self._parties, self._action, self._timeout, self._cond, self._wrapper, extra

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._parties, self._action, self._timeout, self._cond, self._wrapper, extra = state
        self._array = self._wrapper.create_memoryview().cast("q")
        vars(self).update(extra)

    @property
    def _state(self) -> int:
        return int(self._array[STATE])

    @_state.setter
    def _state(self, value: int) -> None:
        self._array[STATE] = value

    @property
    def _count(self) -> int:
        return sum(map(bool, self._array[SEATS:]))

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all parties have come; BrokenBarrierError if that cannot be any more.

        A `timeout` that runs out breaks the barrier.
        """
        limit = self._timeout if timeout is None else timeout
        with self._held():
            self._await_filling()
            index: int = self._array.tolist().index(0, SEATS) - SEATS
            self._array[SEATS + index] = _me()
            try:
                if self._count == self._parties:
                    self._release()
                else:
                    self._await_release(index, limit)
            finally:
                self._array[SEATS + index] = 0
                self._exit()
        return index

    def reset(self) -> None:
        """Empty the barrier; whoever waits gets BrokenBarrierError."""
        with self._held():
            self._sweep()
            self._array[DEAD] = 0
            if self._state != DRAINING:  # those were let through and are only on their way out
                self._state = RESETTING
            self._exit()
            self._cond.notify_all()

    def abort(self) -> None:
        """Break the barrier for all who wait and all who come, until ``reset``."""
        with self._held():
            self._break()

    @contextmanager
    def _held(self) -> Iterator[None]:
        died = False
        while True:
            try:
                self._cond.acquire()
                break
            except OwnerDiedError:
                died = True  # and the lock is free, not ours: once more
        try:
            if died:
                self._sweep()
            yield
        finally:
            self._cond.release()

    def _sleep(self, seconds: float) -> None:
        """Wait for a change; if none comes, or the lock's holder died, see to the dead."""
        try:
            changed = self._cond.wait(seconds)
        except OwnerDiedError:
            changed = False
        if not changed:
            self._sweep()

    def _await_filling(self) -> None:
        while self._state in {RESETTING, DRAINING}:
            self._sleep(PATIENCE)
        self._check()

    def _await_release(self, index: int, limit: float | None) -> None:
        # Looking after all members is dear where there are many, so the later seats look seldom:
        # they matter only when all before them are dead.
        pause = PATIENCE * (index + 1)
        end = None if limit is None else time.monotonic() + limit
        while self._state == FILLING:
            left = pause if end is None else min(pause, end - time.monotonic())
            if left <= 0:
                self._break()
            else:
                self._sleep(left)
        self._check()

    def _check(self) -> None:
        if self._state >= 0:
            return
        if dead := self._array[DEAD]:
            raise BrokenBarrierError(f"process {dead} died while it waited in the barrier")
        raise BrokenBarrierError

    def _release(self) -> None:
        try:
            if self._action:
                self._action()
        except BaseException:
            self._break()
            raise
        self._state = DRAINING
        self._cond.notify_all()

    def _exit(self) -> None:
        """Open the barrier again when the last has left."""
        if self._state in {RESETTING, DRAINING} and not self._count:
            self._state = FILLING
            self._cond.notify_all()

    def _sweep(self) -> None:
        """Empty the seats of the dead; one who was still waiting breaks the barrier."""
        living = {pid << 32 | member for pid, member in _family.members()}
        for place, who in enumerate(self._array.tolist()[SEATS:], SEATS):
            if who and who not in living:
                self._array[place] = 0
                if self._state == FILLING:
                    self._array[DEAD] = who >> 32
                    self._break()
        self._exit()

    def _break(self) -> None:
        self._state = BROKEN
        self._cond.notify_all()


def _me() -> int:
    """This process in a seat: pid and member id, which together are never another's."""
    return os.getpid() << 32 | _family.member()


mirror(__name__, _std)
