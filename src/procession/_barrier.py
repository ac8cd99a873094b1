"""Barrier over a condition and a table in shared memory.

Public as :mod:`procession.synchronize`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from multiprocessing import synchronize as _std
from threading import BrokenBarrierError
from typing import Any

from . import _family
from ._condition import Condition
from .errors import OwnerDiedError
from .heap import BufferWrapper

FILLING, DRAINING, RESETTING, BROKEN = 0, 1, -1, -2
STATE, DEAD, SEATS = 0, 1, 2
PATIENCE = 0.5
"""Seconds after which the first who waits in a barrier looks whether the others live."""
BELIEF = 0.05
"""Seconds for which the last to come believes that those live whom it saw. To look costs as much as
all the rest, and whoever dies so soon may as well have died after the barrier opened."""


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
        own = {"_parties", "_action", "_timeout", "_cond", "_wrapper", "_array", "_seen"}
        extra = {name: value for name, value in vars(self).items() if name not in own}
        return self._parties, self._action, self._timeout, self._cond, self._wrapper, extra

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._parties, self._action, self._timeout, self._cond, self._wrapper, extra = state
        self._array = self._wrapper.create_memoryview().cast("q")
        self._seen: tuple[float, set[int]] = (0.0, set())
        vars(self).update(extra)

    @property
    def _state(self) -> int:
        return int(self._array[STATE])

    @_state.setter
    def _state(self, value: int) -> None:
        self._array[STATE] = value

    @property
    def _count(self) -> int:
        return int(self._parties - self._array[SEATS:].tolist().count(0))

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all parties have come; BrokenBarrierError if that cannot be any more.

        A `timeout` that runs out breaks the barrier.
        """
        limit = self._timeout if timeout is None else timeout
        with self._held():
            self._await_filling()
            seats = self._array.tolist()
            place: int = seats.index(0, SEATS)
            is_last = seats.count(0) - seats[:SEATS].count(0) == 1
            self._array[place] = _me()
            try:
                if is_last:
                    self._sweep(BELIEF)
                    self._check()
                    self._release()
                else:
                    self._await_release(place - SEATS, limit)
            finally:
                self._array[place] = 0
                self._exit()
        return place - SEATS

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

    def _held(self) -> _Held:
        return _Held(self)

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

    def _sweep(self, belief: float = 0.0) -> None:
        """Empty the seats of the dead; one who was still waiting breaks the barrier."""
        seats = self._array.tolist()[SEATS:]
        others = {*seats} - {0, _me()}  # threads of this process live
        if others and (dead := others - self._living(belief)):
            for place, who in enumerate(seats, SEATS):
                if who in dead:
                    self._bury(place, who)
        self._exit()

    def _bury(self, place: int, who: int) -> None:
        self._array[place] = 0
        if self._state == FILLING:
            self._array[DEAD] = who >> 32
            self._break()

    def _living(self, belief: float) -> set[int]:
        """Who of the family lives, or did so many seconds ago."""
        seen, living = self._seen
        now = time.monotonic()
        if now - seen > belief:
            living = {pid << 32 | member for pid, member in _family.members()}
            self._seen = now, living
        return living

    def _break(self) -> None:
        self._state = BROKEN
        self._cond.notify_all()


class _Held:
    """The barrier's lock; what its last holder left is put in order if that one died."""

    # No generator: every wait passes here, and a class is twice as fast.
    __slots__ = ("_barrier",)

    def __init__(self, barrier: Barrier) -> None:
        self._barrier = barrier

    def __enter__(self) -> None:
        died = False
        while True:
            try:
                self._barrier._cond.acquire()
                break
            except OwnerDiedError:
                died = True  # and the lock is free, not ours: once more
        if died:
            try:
                self._barrier._sweep()
            except BaseException:
                self._barrier._cond.release()
                raise

    def __exit__(self, *_error: object) -> None:
        self._barrier._cond.release()


def _me() -> int:
    """This process in a seat: pid and member id, which together are never another's."""
    return os.getpid() << 32 | _family.member()
