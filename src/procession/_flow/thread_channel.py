"""A channel over queues within the process, to worker threads: objects go as they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import islice, repeat
from queue import Empty, SimpleQueue
from typing import Any

from .. import _family
from .channel import (
    FAILED,
    NUDGE,
    READY,
    RESULTS,
    Answer,
    Batch,
    Channel,
    Claim,
    Cut,
    Link,
    Message,
    Opened,
    Taken,
)
from .task import Call

_NOTHING = (0, 0, 0, NUDGE, None)


class ThreadChannel(Channel):
    """For any number of workers; none of them dies before its time."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Message | None] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()

    def prepare(self, call: Call, *, once: bool) -> None:
        """See Channel; there is nothing to do."""

    def send(self, mid: int, call: Call, items: Sequence[Any], index: int) -> None:
        """See Channel."""
        self._tasks.put((mid, call.mode, call.prompt, call.function, items))

    def receive(self, inbox: deque[Batch], timeout: float) -> None:
        """See Channel."""
        poll = partial(self._answers.get, timeout > 0, max(timeout, 0))
        with suppress(Empty):
            # One step for the interpreter, see RingChannel.
            inbox.extend(zip(zip(islice(iter(poll, _NOTHING[4]), 1)), repeat(None)))

    def backlog(self) -> int:
        """See Channel."""
        return self._answers.qsize()

    def open(self, answer: Answer, taken: Taken | None = None) -> Opened:
        """See Channel."""
        return answer[4]  # type: ignore[no-any-return]

    def nudge(self) -> None:
        """See Channel."""
        self._answers.put(_NOTHING)

    def dismiss(self, workers: int) -> None:
        """See Channel."""
        for _ in range(workers):
            self._tasks.put(None)

    def discard(self) -> None:
        """See Channel."""
        try:
            while True:
                self._tasks.get_nowait()
        except Empty:
            pass

    def close(self) -> None:
        """See Channel; queues go with their last reference."""

    def link(self, slot: int, number: int) -> Link:
        """See Channel."""
        return ThreadLink(self._tasks, self._answers, number)

    def claim(self, slot: int) -> Claim | None:
        """See Channel; threads do not die."""
        return None

    def is_drained(self) -> bool:
        """See Channel."""
        return self._tasks.empty()

    def cut(self, cuts: deque[Cut], wanted: Sequence[tuple[int, int, int]]) -> None:
        """See Channel; there are no claims, so nothing is wanted."""


class ThreadLink(Link):
    """A worker thread's end."""

    def __init__(self, tasks: SimpleQueue[Message | None], answers: SimpleQueue[Any], number: int) -> None:
        self._tasks = tasks
        self._answers = answers
        self._number = number

    def take(self) -> Message | None:
        """The loop asks for the next message; None: the worker shall end."""
        return self._tasks.get()

    def serve(self, guard: _family.TaskGuard, most: int | None) -> int:
        """See Link."""
        return _family.serve(self, guard, most)

    def begin(self, number: int, end: int) -> bool:
        """Asked by the loop whether an item may be run; threads have no claims to lose."""
        return True

    def answer(self, mid: int, first: int, values: list[Any], errors: dict[int, BaseException]) -> None:
        """See Link."""
        self._answers.put((mid, first, len(values), RESULTS, (values, errors)))

    def ready(self) -> None:
        """See Link."""
        self._answers.put((0, self._number, 0, READY, None))

    def failed(self, error: BaseException) -> None:
        """See Link."""
        self._answers.put((0, self._number, 0, FAILED, ((None,), {0: error})))
