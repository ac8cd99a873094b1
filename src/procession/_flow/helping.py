"""Who waits, helps: threads that wait for results take turns at receiving them.

One waiting thread leads: it blocks in the channel and works off whatever comes, for everybody.  The
others sleep on a bell of their own until what they wait for is done, or until it is theirs to lead.

Leading is a hint that keeps a herd from waking, not a lock: receiving is safe from any number of
threads.  So a thread that an exception from a signal handler throws out of the midst of this module
costs the others a moment of delay (see STALE) and never a hang.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Protocol

from ..errors import ProcessError

SLICE = 0.2
"""Seconds after which a waiting thread looks up; wakings that were lost cost no more than this."""
STALE = 1.0
"""Seconds without a sign after which a leader is taken to be busy elsewhere, and is replaced."""


class Waited(Protocol):
    """What a thread can wait for."""

    @property
    def done(self) -> bool:
        """Is it over?  Asked often, by any thread; must be quick and run no user's code."""


class Until:
    """Something to wait for, by the function that tells whether it is over."""

    __slots__ = ("_is_over",)

    def __init__(self, is_over: Callable[[], bool]) -> None:
        self._is_over = is_over

    @property
    def done(self) -> bool:
        """See Waited."""
        return self._is_over()


class Bell:
    """Wakes one thread.  Made of one lock, so that even a finalizer may ring it, at any moment."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._lock.acquire()

    def ring(self) -> None:
        """End the wait that is under way, or the next one."""
        with suppress(RuntimeError):  # rung already, which is as good
            self._lock.release()

    def wait(self, timeout: float) -> None:
        """Sleep until it rings, at most `timeout` seconds."""
        self._lock.acquire(timeout=timeout)


class _Turn:
    """One thread's wait."""

    __slots__ = ("beat", "bell", "patient", "thread", "waited")

    def __init__(self, waited: Waited, patient: bool) -> None:
        self.waited = waited
        self.patient = patient
        self.thread = _thread.get_ident()
        self.beat = 0.0
        self.bell = Bell()


class Helpers:
    """The threads that wait on one channel.

    `receive(timeout)` waits up to that many seconds for answers and works them off; `nudge()` makes
    the receive that is under way, or the next one, return.
    """

    def __init__(self, receive: Callable[[float], None], nudge: Callable[[], None]) -> None:
        self._receive = receive
        self._nudge = nudge
        self._lead: dict[int, _Turn] = {}
        self._turns: dict[int, _Turn] = {}
        self._disowned = False

    def wait(self, waited: Waited, timeout: float | None = None, *, patient: bool = False) -> bool:
        """Help until `waited` is done; False if it is not within `timeout` seconds.

        A `patient` thread, one on whom no caller waits, leads only where nobody else does.
        """
        if self._disowned:
            raise ProcessError("only the process that made the pool can wait for it, not a fork of it")
        end = None if timeout is None else monotonic() + timeout
        turn = _Turn(waited, patient)
        self._turns[id(turn)] = turn
        try:
            while not waited.done:
                now = monotonic()
                left = SLICE if end is None else min(SLICE, end - now)
                if left <= 0:
                    # What has come counts, though nobody waited for it.
                    self._receive(0)
                    return waited.done
                self._take_part(turn, now, left)
        finally:
            self._leave(turn)
        return True

    def wake(self, waited: Waited) -> None:
        """To be called after `waited` became done, or might have."""
        if not self._turns:
            return
        me = _thread.get_ident()
        for turn in tuple(self._turns.values()):
            if turn.waited is waited and turn.thread != me:
                if self._lead.get(0) is turn:
                    self._nudge()
                turn.bell.ring()

    def disown(self) -> None:
        """In a forked child, where nobody answers: `wait` raises ProcessError."""
        self._disowned = True
        self._lead, self._turns = {}, {}

    def _take_part(self, turn: _Turn, now: float, left: float) -> None:
        leader = self._lead.setdefault(0, turn)
        if leader.thread == turn.thread or now - leader.beat > STALE:
            leader = self._lead[0] = turn
        if leader is not turn:
            # A bell that was meant for an earlier moment costs one look.
            turn.bell.wait(left)
            return
        turn.beat = now
        self._receive(left)
        if turn.patient and len(self._turns) > 1:
            self._step_down(turn)

    def _step_down(self, turn: _Turn) -> None:
        for key, other in tuple(self._turns.items()):
            if not other.patient:
                other.beat = turn.beat
                # Given, not left lying: we would be the first to take it up again.
                self._lead[0] = other
                if key in self._turns:
                    other.bell.ring()
                    return
                self._lead[0] = turn

    def _leave(self, turn: _Turn) -> None:
        self._turns.pop(id(turn), None)
        if self._lead.get(0) is turn:
            self._lead.pop(0, None)
        if self._turns and not self._lead:
            self._pass_on()

    def _pass_on(self) -> None:
        turns = tuple(self._turns.values())
        if turns:
            min(turns, key=lambda turn: turn.patient).bell.ring()
