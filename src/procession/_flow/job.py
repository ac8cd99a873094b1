"""Jobs: what the scheduler knows of a call, and what it remembers of its messages while they fly.

A job is told of answers by the scheduler, which calls `take`, `landed` and `fail` under its lock, and
perhaps again with the same answer (see there); they only note.  Unpickling is done by whoever asks
for the results, in that thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, ClassVar, Protocol

from .channel import Failed
from .task import SPENT, Call

Callback = Callable[[Any], object]

_numbers = count()


class Job:
    """What the scheduler knows of a call: its number, whether all its messages have landed.

    `calls_back`: there is a callback.  `complete`: every message has landed.  `done`, which is what those
    who wait ask for: the callbacks have run too, if there are any.  The pool is held as long as something
    is pending, so that a pool nobody else holds finishes its work.
    """

    complete = False
    done = False

    one_fails_all: ClassVar[bool] = False
    """Would one error hide all other results?"""

    def __init__(
        self,
        pool: Any,
        callback: Callback | None = None,
        error_callback: Callback | None = None,
        *,
        call: Call = SPENT,
    ) -> None:
        self._pool = pool
        # A Scheduler; not named here, since its module imports this one.
        self._scheduler: Any = pool._scheduler
        self._job = next(_numbers)
        self._callback = callback
        self._error_callback = error_callback
        self.calls_back = callback is not None or error_callback is not None
        self.call = call

    def expect(self, mid: int) -> None:
        """A message is about to fly."""

    def take(self, start: int, answer: Any) -> None:
        """An answer that begins with result number `start`."""
        raise NotImplementedError

    def landed(self, mid: int) -> bool:
        """A message is answered in full, or will never fly.  True if that was the last."""
        raise NotImplementedError

    def reject(self, error: BaseException) -> None:
        """Nothing was ever sent, and this is why."""
        self.take(0, Failed(error))

    def fail(self, error: BaseException) -> None:
        """Nothing more will come, and this is why."""
        raise NotImplementedError

    def outcome(self) -> tuple[bool, Any]:
        """(True, result) or (False, error), of a job that has ended."""
        raise NotImplementedError

    def close(self) -> None:
        """It is done: let go of what only pending jobs need.  May be called again."""
        self._pool = None
        self.call = SPENT


class Flight:
    """One message on its way: `items` of `job` from number `start` on.

    `done` counts the items answered, in order, `end` those that are its worker's to answer.
    `unread` counts workers that died before they began an item.  `parts`: messages that are to be
    sent in its place.  `sent`: it is on its way.
    """

    __slots__ = ("call", "done", "end", "items", "job", "parts", "sent", "start", "unread")

    def __init__(self, job: Job, start: int, items: Sequence[Any], unread: int = 0) -> None:
        self.job = job
        # Its own: a job that is forgotten lets go of it, and what flies of it lands all the same.
        self.call = job.call
        self.start = start
        self.items = items
        self.done = 0
        self.end = len(items)
        self.unread = unread
        self.sent = False
        self.parts: deque[Flight] | None = None

    def part(self, first: int, end: int, unread: int = 0) -> Flight:
        """The same call's items `first` to `end` of this."""
        part = Flight(self.job, self.start + first, self.items[first:end], unread)
        part.call = self.call
        return part

    @property
    def is_void(self) -> bool:
        """Had the job ended, by another thread, before this was made?"""
        return self.call is SPENT

    @property
    def is_long(self) -> bool:
        """Are there units that may go to another worker than the first one?"""
        return self.end - self.done > self.call.unit


class Callbacks(Protocol):
    """Who runs callbacks."""

    def owe(self, job: Job) -> None:
        """`job`, which begins, has callbacks."""

    def due(self, job: Job) -> None:
        """All of `job` has landed: run its callback, then call `Scheduler.finished`.

        Called under the scheduler's lock, and perhaps twice.  One that is done already is to be
        forgotten.
        """
