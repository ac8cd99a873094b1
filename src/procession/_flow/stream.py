"""Results of imap: a job without an end known beforehand, and the iterators over it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from multiprocessing import TimeoutError as _TimeoutError
from multiprocessing.pool import IMapIterator as _StdIMapIterator
from multiprocessing.pool import IMapUnorderedIterator as _StdIMapUnorderedIterator
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any

from .job import Job
from .task import Call

if TYPE_CHECKING:
    _Base = _StdIMapIterator[Any]
    _UnorderedBase = _StdIMapUnorderedIterator[Any]
else:
    _Base, _UnorderedBase = _StdIMapIterator, _StdIMapUnorderedIterator

Outcome = tuple[Any, BaseException | None]


class _News:
    """To wait for: the consumer of a stream has something to take, be it the end."""

    def __init__(self, is_there: Callable[[], bool]) -> None:
        self._is_there = is_there

    @property
    def done(self) -> bool:
        """See Waited."""
        return self._is_there()


class Stream(Job):
    """The job of one imap.

    Nothing is lost or given twice if a signal handler raises in a consumer: what it takes from is one
    tuple, `_current`: numbers of its first result and of the first one after it, how many there have
    been with these, and what is left of them.
    """

    def __init__(self, pool: Any, call: Call, *, ordered: bool) -> None:
        self._ordered = ordered
        self._answers: dict[int, Any] = {}
        self._arrived: deque[int] = deque()
        self._flying: set[int] = set()
        self._current: tuple[int, int, int, deque[Outcome]] = (-1, 0, 0, deque())
        self._end: tuple[int, BaseException | None] | None = None
        self._fatal: BaseException | None = None
        self._taking = RLock()
        self._abandoned = False
        self.news = _News(self._has_news)
        super().__init__(pool, call, None, None)

    # ---- told by the scheduler and the feed

    def expect(self, mid: int) -> None:
        """See Job."""
        self._flying.add(mid)

    def take(self, start: int, answer: Any) -> None:
        """See Job."""
        if not self._abandoned:
            self._answers[start] = answer
            if not self._ordered:
                self._arrived.append(start)
            self._scheduler.helpers.wake(self.news)

    def landed(self, mid: int) -> bool:
        """See Job."""
        self._flying.discard(mid)
        return self._end is not None and not self._flying

    def reject(self, error: BaseException) -> None:
        """See Job."""
        self._end = 0, error

    def fail(self, error: BaseException) -> None:
        """See Job."""
        self._fatal = error
        self._scheduler.helpers.wake(self.news)

    def seal(self, length: int, error: BaseException | None) -> None:
        """The input has ended after `length` items, perhaps by an error."""
        self._end = length, error
        self._scheduler.landed(self, 0)
        self._scheduler.helpers.wake(self.news)

    def abandon(self) -> None:
        """Nobody will take any more; the tasks are run nevertheless."""
        self._abandoned = True
        self._answers.clear()
        self._arrived.clear()

    @property
    def on_the_way(self) -> int:
        """Messages that are not answered in full."""
        return len(self._flying)

    @property
    def taken(self) -> int:
        """Results that the consumer has got."""
        _, _, total, left = self._current
        return total - len(left)

    # ---- asked by the consumer

    def next(self, timeout: float | None) -> Any:
        """The next result, or what its task raised.

        StopIteration at the end; TimeoutError if nothing comes within `timeout` seconds.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while (outcome := self._pop()) is None:
            left = None if deadline is None else deadline - monotonic()
            if not self._scheduler.wait(self.news, left):
                raise _TimeoutError(f"no result within {timeout} seconds")
        value, error = outcome
        if error is None:
            return value
        try:
            if isinstance(error, StopIteration):
                # It would end the caller's loop as if there were no more results.
                raise RuntimeError("a task raised StopIteration") from error  # noqa: TRY004
            raise error
        finally:
            # Or the error's traceback would hold this frame, which holds the error.
            del error, outcome, self

    def _pop(self) -> Outcome | None:
        with self._taking:
            if self._current[3] or self._advance():
                return self._current[3].popleft()
            return self._ending()

    def _advance(self) -> bool:
        """Go on to the next answer, if it is there."""
        key = self._next_key()
        if key is None:
            return False
        values, errors = self._scheduler.open(self._answers[key])
        outcomes = deque((value, errors.get(number)) for number, value in enumerate(values))
        total = self._current[2] + len(outcomes)
        self._current = key, key + len(outcomes), total, outcomes
        return True

    def _next_key(self) -> int | None:
        with self._scheduler.lock:
            # By the scheduler's rule for takers.
            self._scheduler.settle()
            before, end, _, _ = self._current
            self._answers.pop(before, None)
            if self._ordered:
                return end if end in self._answers else None
            while self._arrived and self._arrived[0] not in self._answers:
                self._arrived.popleft()
            return self._arrived[0] if self._arrived else None

    def _ending(self) -> Outcome | None:
        """What comes where nothing is: None if something still may."""
        if self._fatal is not None:
            return None, self._fatal
        if self._end is None or self.taken < self._end[0]:
            return None
        length, error = self._end
        if error is None:
            raise StopIteration
        self._end = length, None
        return None, error

    def _has_news(self) -> bool:
        start, end, _, left = self._current
        if left or self._fatal is not None:
            return True
        if self._end is not None and self.taken >= self._end[0]:
            return True
        return end in self._answers if self._ordered else len(self._answers) > (start in self._answers)


class IMapIterator(_Base):
    """The results of `imap`, in the order of the input."""

    def __init__(self, stream: Stream, refill: Callable[[], None], orphan: Callable[[], None]) -> None:
        self._stream = stream
        self._refill = refill
        self._orphan = orphan

    def next(self, timeout: float | None = None) -> Any:
        """The next result; raises what its task raised, or else what the input raised.

        StopIteration at the end; TimeoutError if nothing comes within `timeout` seconds, after which
        one may ask again; WorkerLostError if the task's worker died; ProcessError if the pool was
        terminated.
        """
        self._refill()
        return self._stream.next(timeout)

    __next__ = next  # noqa: A003

    def __del__(self) -> None:
        self._orphan()


class IMapUnorderedIterator(IMapIterator, _UnorderedBase):
    """The results of `imap_unordered`, as they come."""
