"""Results of imap: a job without an end known beforehand, and the iterators over it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, repeat
from multiprocessing import TimeoutError as _TimeoutError
from multiprocessing.pool import IMapIterator as _StdIMapIterator
from multiprocessing.pool import IMapUnorderedIterator as _StdIMapUnorderedIterator
from operator import length_hint
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any

from .helping import Until
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


class Stream(Job):
    """The job of one imap.

    Nothing is lost or given twice if a signal handler raises in a consumer.  What it takes from is one
    tuple, `_current`: the answers it came in, the number of the first result after it, how many there
    have been with these, and what is left of them.  That is an iterator, and who takes from it does so
    by `for` and then returns: after calls the interpreter runs handlers, but not between these two.
    """

    def __init__(self, pool: Any, call: Call, *, ordered: bool) -> None:
        self._ordered = ordered
        self._answers: dict[int, Any] = {}
        self._arrived: deque[int] = deque()
        self._flying: set[int] = set()
        self._current: tuple[frozenset[int], int, int, Iterator[Outcome]] = (frozenset(), 0, 0, iter(()))
        self._end: tuple[int, BaseException | None] | None = None
        self._fatal: BaseException | None = None
        self._taking = RLock()
        self._abandoned = False
        # The consumer has something to take, be it the end.
        self.news = Until(self._has_news)
        super().__init__(pool, call=call)

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
        return total - length_hint(left)

    # ---- asked by the consumer

    @property
    def left(self) -> Iterator[Outcome]:
        """Outcomes that are open already, for one `for` that takes one."""
        return self._current[3]

    def await_more(self, deadline: float) -> bool:
        """Wait until `left` has something; False if nothing came by then, in seconds of `monotonic`.

        Raises StopIteration at the end, or what ended the whole.
        """
        while not self._has_more():
            left = None if deadline == math.inf else deadline - monotonic()
            if not self._scheduler.wait(self.news, left):
                return False
        return True

    def _has_more(self) -> bool:
        with self._taking:
            return length_hint(self._current[3]) > 0 or self._advance() or self._ends()

    def _advance(self) -> bool:
        """Go on to the next answers, if there are any."""
        _, end, total, _ = self._current
        outcomes: list[Outcome] = []
        keys: list[int] = []
        for key in self._wanted():
            answer = self._answers.get(end if key is None else key)
            if answer is None:
                break
            values, errors = self._scheduler.open(answer)
            outcomes.extend(zip(values, map(_raisable, map(errors.get, range(len(values)))), strict=True))
            keys.append(end if key is None else key)
            end = keys[-1] + len(values)
        if keys:
            self._current = frozenset(keys), end, total + len(outcomes), iter(outcomes)
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

    def _ends(self) -> bool:
        """What comes where nothing is: the input's error is taken like a result, one beyond the last."""
        if self._fatal is not None:
            # Whoever goes on asking shall not have it grow by a traceback each time.
            raise self._fatal.with_traceback(None)
        if self._end is None or self.taken < self._end[0]:
            return False
        length, error = self._end
        keys, end, total, _ = self._current
        if error is None or total > length:
            raise StopIteration
        self._current = keys, end, total + 1, iter([(None, _raisable(error))])
        return True

    def _has_news(self) -> bool:
        keys, end, _, left = self._current
        if length_hint(left) or self._fatal is not None:
            return True
        if self._end is not None and self.taken >= self._end[0]:
            return True
        return end in self._answers if self._ordered else not self._answers.keys() <= keys


def _raisable(error: BaseException | None) -> BaseException | None:
    """In the place of StopIteration, which would end the caller's loop as if there were no more results."""
    if not isinstance(error, StopIteration):
        return error
    made = RuntimeError("a task raised StopIteration")
    made.__cause__ = error
    return made


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
        deadline: float | None = None
        while True:
            for value, error in self._stream.left:
                if error is None:
                    return value
                try:
                    raise error
                finally:
                    # Or the error's traceback would hold this frame, which holds the error.
                    del error, self
            if deadline is None:
                self._refill()
                deadline = math.inf if timeout is None else monotonic() + timeout
            if not self._stream.await_more(deadline):
                raise _TimeoutError(f"no result within {timeout} seconds")

    __next__ = next  # noqa: A003

    def __del__(self) -> None:
        orphan = vars(self).get("_orphan")
        if orphan is not None:
            orphan()


class IMapUnorderedIterator(IMapIterator, _UnorderedBase):
    """The results of `imap_unordered`, as they come."""
