"""Who works: the workers of a pool, started, replaced, dismissed.

What is common to processes and threads.  A slot is a worker's place in the pool, a number is its own:
replacements get the slot of who is gone and a number that nobody had.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Any

from .channel import Channel, Hire

if TYPE_CHECKING:
    from .scheduler import Scheduler

STARTS = 3
"""So many workers in a row that tell why they cannot start, and the pool is broken."""
SILENT = 12
"""The same for workers that die before they have started well and do not tell why; some may have been
killed by an accident that has nothing to do with the pool."""


ALMOST = 0.999
"""As good as 1, for sums of fractions."""


class Member:
    """One worker: `worker` is its process or thread."""

    __slots__ = ("slot", "worker")

    def __init__(self, worker: Any, slot: int) -> None:
        self.worker = worker
        self.slot = slot


class Crew:
    """Workers of one pool; the base of both kinds.

    `workers` is what programs see as the pool's `_pool`: the processes or threads, oldest first.
    """

    def __init__(self, size: int, channel: Channel, hire: Hire) -> None:
        self.size = size
        self.workers: list[Any] = []
        self._channel = channel
        self._hire = hire
        self._members: dict[int, Member] = {}
        # What workers told of their start, which may be before they are known to have been started.
        self._told: dict[int, Any] = {}
        self._numbers = count(1)
        self._failures = 0.0
        self._filling = RLock()
        self._dismissed = False
        self._halted = False
        self._over = False

    def attach(self, scheduler: Scheduler, broken: Callable[[BaseException | None, str], None]) -> None:
        """Called once, before anything else.  `broken(error, text)` is called when nobody can start."""
        self._scheduler = scheduler
        self._broken = broken

    def fill(self) -> None:
        """Start workers until there are as many as there shall be.  Raises what starting one raises."""
        with self._filling:
            if not self._wants_more:
                return
            taken = {member.slot for member in tuple(self._members.values())}
            # All are hired before one starts: what is touched between two forks has to be copied twice.
            for number, member in [self._hired(slot) for slot in range(self.size) if slot not in taken]:
                if self._wants_more:
                    self._start(number, member)

    @property
    def _wants_more(self) -> bool:
        return len(self._members) < self.size and not (self._over or self._dismissed or self._halted)

    def heard(self, number: int, answer: Any) -> None:
        """See channel.Notes."""
        self._told[number] = answer
        if answer is None:
            self._failures = 0

    def _error_of_start(self, number: int) -> BaseException | None:
        """What a worker told that did not start well."""
        answer = self._told.pop(number, None)
        return None if answer is None else self._scheduler.open(answer)[1][0]

    def dismiss(self) -> None:
        """Nothing will be submitted any more, and all has landed: everybody may end."""
        if not self._dismissed:
            self._dismissed = True
            self._channel.dismiss(self.size)

    def end(self) -> None:
        """End everybody as soon as can be; returns within seconds.  May be called again."""
        raise NotImplementedError

    def join(self) -> None:
        """Wait until everybody has ended."""
        for worker in tuple(self.workers):
            worker.join()
        self.workers.clear()

    def disown(self) -> None:
        """In a forked child: the parent's workers are not ours."""
        self._over = True
        self._filling = RLock()
        self.workers.clear()
        self._members.clear()

    def _hired(self, slot: int) -> tuple[int, Member]:
        number = next(self._numbers)
        return number, Member(self._hire(self._channel.link(slot, number)), slot)

    def _start(self, number: int, member: Member) -> None:
        try:
            self._launch(member.worker)
            self._members[number] = member
            self.workers.append(member.worker)
        except BaseException:
            # Started perhaps, if this is a signal handler's.
            self._members.pop(number, None)
            self._call_off(member.worker)
            raise

    def _launch(self, worker: Any) -> None:
        worker.start()

    def _call_off(self, worker: Any) -> None:
        """End a worker that nobody will know."""

    def _failed_start(self, error: BaseException | None, text: str) -> None:
        """Count who ended without having started well; too many of them break the pool."""
        self._failures += 1 / (SILENT if error is None else STARTS)
        if self._failures > ALMOST and not self._over:
            self._halted = True
            self._broken(error, text)


class ThreadCrew(Crew):
    """Threads.  They cannot be killed: who runs a task ends after it."""

    def heard(self, number: int, answer: Any) -> None:
        """See Crew.  Nobody watches threads, so this is also where their failure is seen."""
        super().heard(number, answer)
        if answer is not None:
            self._failed_start(self._error_of_start(number), f"thread number {number}, has ended")
            member = self._members.pop(number, None)
            if member is not None:
                self.workers.remove(member.worker)
                self.fill()

    def end(self) -> None:
        """See Crew."""
        self._over = True
        self._channel.discard()
        self._channel.dismiss(self.size)
