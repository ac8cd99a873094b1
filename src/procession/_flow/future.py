"""Results of the calls that have one end: `apply_async`, `map_async`, `starmap_async`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from multiprocessing import TimeoutError as _TimeoutError
from multiprocessing.pool import ApplyResult as _StdApplyResult
from multiprocessing.pool import MapResult as _StdMapResult
from threading import RLock
from typing import Any, TypeVar

from .channel import BODY, KIND, OPEN, Failed
from .job import Callback, Job
from .task import SPENT, Call

T = TypeVar("T")


class ApplyResult(Job, _StdApplyResult[T]):
    """The result of `apply_async`; also called AsyncResult."""

    _answer: Any = None
    _outcome: tuple[bool, Any] | None = None

    def ready(self) -> bool:
        """Is the result there, and have the callbacks run?"""
        if not self.done:
            self._scheduler.drain()
        return self.done

    def successful(self) -> bool:
        """Did the task return, rather than raise?  ValueError if it is not known yet."""
        if not self.ready():
            raise ValueError(f"{self!r} not ready: wait() for it, or ask ready() first")
        return self.outcome()[0]

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the result is there, at most `timeout` seconds."""
        self._scheduler.wait(self, timeout)

    def get(self, timeout: float | None = None) -> T:
        """The result, waited for.

        Raises what the task raised, with the worker's traceback as its cause; TimeoutError if nothing
        came within `timeout` seconds; WorkerLostError if the worker died; ProcessError if the pool was
        terminated first.
        """
        if not self.done and not self._scheduler.wait(self, timeout):
            raise _TimeoutError(f"no result within {timeout} seconds")
        success, value = self.outcome()
        if success:
            return value  # type: ignore[no-any-return]
        try:
            raise value
        finally:
            # Or the error's traceback would hold this frame, which holds the error.
            del value, self

    def outcome(self) -> tuple[bool, Any]:
        """See Job."""
        known = self._outcome
        if known is None:
            # Whoever is first, all get the same object.
            known = vars(self).setdefault("_outcome", self._opened())
            self._answer = None
        return known

    def _opened(self) -> tuple[bool, Any]:
        answer = self._answer
        if answer is None:
            # Another thread has been quicker in the very moment.
            return self._outcome  # type: ignore[return-value]
        values, errors = self._scheduler.open(answer)
        return (False, errors[0]) if errors else (True, values[0])

    def take(self, start: int, answer: Any) -> None:
        """See Job."""
        if type(answer) is tuple and answer[KIND] == OPEN:
            # At once, since many may be kept for long.
            self._outcome = True, answer[BODY][0]
        else:
            self._answer = answer

    def landed(self, mid: int) -> bool:
        """See Job."""
        # Else its message has landed because another was sent in its place.
        return self._answer is not None or self._outcome is not None

    def fail(self, error: BaseException) -> None:
        """See Job."""
        self._answer = Failed(error)


AsyncResult = ApplyResult


class MapResult(ApplyResult[list[T]], _StdMapResult[T]):
    """The result of `map_async` and `starmap_async`: a list, in the order of the input.

    If tasks raised, all others are run nevertheless; the error of the first one in that order is the
    error of the whole.
    """

    one_fails_all = True

    def __init__(
        self,
        pool: Any,
        chunksize: int,
        length: int,
        callback: Callback | None = None,
        error_callback: Callback | None = None,
        *,
        call: Call = SPENT,
    ) -> None:
        self._chunksize = chunksize
        self._value = [None] * length
        self._error: tuple[int, BaseException] | None = None
        self._answers: dict[int, Any] = {}
        self._flying: set[int] = set()
        self._sealed = False
        self._digesting = RLock()
        super().__init__(pool, callback, error_callback, call=call)

    def submit(self, items: Sequence[Any], lengths: Iterable[int]) -> None:
        """Send all that is to be done, in messages of these lengths.  Called once, by the caller."""
        start = 0
        for length in lengths:
            self._scheduler.submit(self, start, items[start : start + length])
            start += length
        self._sealed = True
        self._scheduler.landed(self, 0)

    def expect(self, mid: int) -> None:
        """See Job."""
        self._flying.add(mid)

    def take(self, start: int, answer: Any) -> None:
        """See Job."""
        self._answers[start] = answer

    def landed(self, mid: int) -> bool:
        """See Job."""
        self._flying.discard(mid)
        return self._sealed and not self._flying

    def fail(self, error: BaseException) -> None:
        """See Job."""
        self._error = -1, error

    def digest(self) -> None:
        """Unpickle what has come."""
        with self._digesting:
            for start in tuple(self._answers):
                values, errors = self._scheduler.open(self._answers[start])
                self._value[start : start + len(values)] = values
                self._note(start, errors)
                del self._answers[start]

    def outcome(self) -> tuple[bool, Any]:
        """See Job."""
        self.digest()
        return (True, self._value) if self._error is None else (False, self._error[1])

    def _note(self, start: int, errors: dict[int, BaseException]) -> None:
        if errors:
            number = min(errors)
            if self._error is None or start + number < self._error[0]:
                self._error = start + number, errors[number]
