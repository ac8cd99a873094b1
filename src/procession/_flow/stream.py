"""Results of imap: a job without an end known beforehand, and the iterators over it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice, repeat
from multiprocessing import TimeoutError as _TimeoutError
from multiprocessing.pool import IMapIterator as _StdIMapIterator
from multiprocessing.pool import IMapUnorderedIterator as _StdIMapUnorderedIterator
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from .job import Job
from .task import Call

if TYPE_CHECKING:
    _Base = _StdIMapIterator[Any]
    _UnorderedBase = _StdIMapUnorderedIterator[Any]
else:
    _Base, _UnorderedBase = _StdIMapIterator, _StdIMapUnorderedIterator

Outcome = tuple[Any, BaseException | None]

MANY = 32
"""Most answers that a consumer opens before it takes from them."""


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
    tuple, `_current`: the answers it came in, the number of the first result after it, how many there
    have been with these, and what is left of them.
    """

    def __init__(self, pool: Any, call: Call, *, ordered: bool) -> None:
        self._ordered = ordered
        self._answers: dict[int, Any] = {}
        self._arrived: deque[int] = deque()
        self._flying: set[int] = set()
        self._current: tuple[frozenset[int], int, int, deque[Outcome]] = (frozenset(), 0, 0, deque())
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

    @property
    def left(self) -> deque[Outcome]:
        """Outcomes that are open already: to be taken from the left."""
        return self._current[3]

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
        return value if error is None else self.fail_with(error)

    def fail_with(self, error: BaseException) -> NoReturn:
        """Raise what a task raised."""
        try:
            if isinstance(error, StopIteration):
                # It would end the caller's loop as if there were no more results.
                raise RuntimeError("a task raised StopIteration") from error  # noqa: TRY004
            raise error
        finally:
            # Or the error's traceback would hold this frame, which holds the error.
            del error, self

    def _pop(self) -> Outcome | None:
        with self._taking:
            if self._current[3] or self._advance():
                return self._current[3].popleft()
            return self._ending()

    def _advance(self) -> bool:
        """Go on to the next answers, if there are any."""
        _, end, total, _ = self._current
        outcomes: deque[Outcome] = deque()
        keys: list[int] = []
        for key in self._wanted():
            answer = self._answers.get(end if key is None else key)
            if answer is None:
                break
            values, errors = self._scheduler.open(answer)
            outcomes.extend(zip(values, map(errors.get, range(len(values))), strict=True))
            keys.append(end if key is None else key)
            end = keys[-1] + len(values)
        if keys:
            self._current = frozenset(keys), end, total + len(outcomes), outcomes
        return bool(keys)

    def _wanted(self) -> Iterable[int | None]:
        """Keys of the answers to go on to, at most so many; None for that of the next in order."""
        with self._scheduler.lock:
            # By the scheduler's rule for takers.
            self._scheduler.settle()
            for key in self._current[0]:
                self._answers.pop(key, None)
            if self._ordered:
                return repeat(None, MANY)
            arrived = self._arrived
            while arrived and arrived[0] not in self._answers:
                arrived.popleft()
            # No more than these are looked at: there may be a great many.
            return dict.fromkeys(islice(filter(self._answers.__contains__, arrived), MANY))

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
        keys, end, _, left = self._current
        if left or self._fatal is not None:
            return True
        if self._end is not None and self.taken >= self._end[0]:
            return True
        return end in self._answers if self._ordered else not self._answers.keys() <= keys


class IMapIterator(_Base):
    """The results of `imap`, in the order of the input."""

    def __init__(
        self,
        stream: Stream,
        refill: Callable[[], None] | None = None,
        orphan: Callable[[], None] | None = None,
    ) -> None:
        if refill is None or orphan is None:
            # As a recipe for `istarmap` does, which goes on with the stdlib's task queue.
            raise TypeError(
                "an iterator cannot be made of a pool alone, which has no queue of tasks that others could "
                "put into: use starmap, or imap with a function that takes one tuple"
            )
        self._stream = stream
        self._refill = refill
        self._orphan = orphan

    def next(self, timeout: float | None = None) -> Any:
        """The next result; raises what its task raised, or else what the input raised.

        StopIteration at the end; TimeoutError if nothing comes within `timeout` seconds, after which
        one may ask again; WorkerLostError if the task's worker died; ProcessError if the pool was
        terminated.
        """
        try:
            value, error = self._stream.left.popleft()
        except IndexError:
            pass
        else:
            return value if error is None else self._stream.fail_with(error)
        # Out here, so that what is raised while this waits has no IndexError in its traceback.
        self._refill()
        return self._stream.next(timeout)

    __next__ = next  # noqa: A003

    def __del__(self) -> None:
        orphan = vars(self).get("_orphan")
        if orphan is not None:
            orphan()


class IMapUnorderedIterator(IMapIterator, _UnorderedBase):
    """The results of `imap_unordered`, as they come."""
