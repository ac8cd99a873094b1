"""A channel over two rings in shared memory, to worker processes: the hot path.

All workers take from one ring of messages and put to one ring of answers; each has a slot in a table
of claims, written as part of the taking.  Messages and answers are a pickle each, with something behind
it that is read without unpickling anything: see `wire`.  Bytes that are empty dismiss a worker, or nudge
the pool.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice, repeat, starmap
from multiprocessing import util as _util
from threading import RLock
from typing import Any

from .. import _family
from ..errors import TransferError
from ..reduction import dumps, loads
from . import outcome
from .channel import (
    FAILED,
    OPEN,
    READY,
    UNREAD,
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
from .functions import Repertoire, Shelf
from .task import APPLY, Call
from .wire import ANSWER_END, TASK_END, task_end

_BATCH = 256
"""Most answers that are received at once, as long as they carry nothing."""

_PROTOCOL = pickle.HIGHEST_PROTOCOL


class RingChannel(Channel):
    """For at most `size` workers at a time.  Raises MemoryError or OSError where memory is refused."""

    def __init__(self, size: int) -> None:
        self._tasks: Any = _family.Ring()
        self._answers: Any = _family.Ring()
        self._claims: Any = _family.Claims(size)
        # How many at once.  What a batch carried is held until the last of its answers
        # is opened: where answers carry something each is a batch.
        self._most: list[int] = [1]
        # One after the other: answers, and what they carried.
        self._batches: Iterator[Batch] = zip(
            map(partial(_family.take_answers, self._answers), repeat(self._most)),
            starmap(self._answers.hand_over_carried, repeat(())),
            strict=False,
        )
        self._receiving = RLock()
        self._shelf = Shelf()

    def prepare(self, call: Call, *, once: bool) -> None:
        """See Channel."""
        call.wire = self._shelf.wire(call.function, once=once)

    def send(self, mid: int, call: Call, items: Sequence[Any], index: int) -> None:
        """See Channel."""
        key, text, carry = call.wire
        odd = type(text) is not bytes
        if not odd and not carry and self._tasks.put_task(mid, key, text, call.prompt, call.mode, items):
            return
        contents: Any = (text, items) if odd else items
        text = b"" if odd else text
        carry = list(carry)
        data = _pickled(contents, carry, call, items, index)
        end = text + TASK_END.pack(mid, key, len(text), call.prompt, call.mode, odd)
        self._tasks.put(data + end, True, None, mid, carry)

    def receive(self, inbox: deque[Batch], timeout: float) -> None:
        """See Channel."""
        if timeout > 0 and not self._answers.qsize():
            self._answers.wait_readable(timeout)
        # One thread at a time: answers must reach the inbox in the order in which they were given,
        # and whoever asks what a dead worker had answered must not miss one that is on its way there.
        with self._receiving:
            # One step for the interpreter: between taking answers and having them in the inbox there
            # is no moment in which a signal handler could run, raise, and lose them.
            inbox.extend(islice(self._batches, 1))
            # Unless another thread has worked it off by now: then the next will tell.
            for answers, hold in tuple(inbox)[-1:]:
                if answers:
                    self._most[0] = min(2 * self._most[0], _BATCH) if hold is None else 1

    def backlog(self) -> int:
        """See Channel."""
        return self._answers.qsize()  # type: ignore[no-any-return]

    def open(self, answer: Answer, taken: Taken | None = None) -> Opened:
        """See Channel."""
        _, _, count, kind, body = answer
        if kind == OPEN:
            return body, {}
        if kind in (UNREAD, FAILED):
            kind, count = outcome.MIXED, 1
        return outcome.open_packed(kind, body, count, taken)

    def nudge(self) -> None:
        """See Channel."""
        try:
            self._answers.put(b"")
        except MemoryError:
            self._answers.interrupt()

    def dismiss(self, workers: int) -> None:
        """See Channel."""
        # At once: the first that is woken may displace this process, and the others would wait for it.
        while workers > 0:
            workers -= self._tasks.put_many([b""] * workers)

    def discard(self) -> None:
        """See Channel."""
        while self._tasks.get(False) is not None:
            pass

    def close(self) -> None:
        """See Channel."""
        self._tasks = self._answers = self._claims = _Gone()
        # In a forked child another thread may have had it.
        self._receiving = RLock()
        self._batches = iter(())

    def link(self, slot: int, number: int) -> Link:
        """See Channel."""
        self._claims.clear(slot)
        return RingLink(self._tasks, self._answers, self._claims, slot, number)

    def claim(self, slot: int) -> Claim | None:
        """See Channel."""
        # The dead may have left the ring in the middle of a taking.
        self._tasks.settle()
        claim = self._claims.read(slot)
        return None if claim is None else Claim(*claim)

    def is_drained(self) -> bool:
        """See Channel."""
        return not self._tasks.qsize()

    def cut(self, cuts: deque[Cut], wanted: Sequence[tuple[int, int, int]]) -> None:
        """See Channel."""
        # One step for the interpreter, and one thread at a time, as in `receive`.
        with self._receiving:
            cuts.extend(filter(None, starmap(partial(self._tasks.cut, self._claims), wanted)))


class _Gone:
    """In the place of rings and claims that were let go: empty, and deaf."""

    def get(self, *_: Any) -> None:
        pass

    put = put_task = interrupt = settle = read = wait_readable = cut = get

    def put_many(self, items: Sequence[bytes]) -> int:
        return len(items)

    def qsize(self) -> int:
        return 0


def _pickled(contents: Any, carry: list[Any], call: Call, items: Sequence[Any], index: int) -> bytes:
    carried = len(carry)
    try:
        return dumps(contents, carry)
    except TransferError:
        # Again, part by part: for an error with a path from what the caller knows.
        del carry[carried:]
        _blame(call, items, index)
        raise


def _blame(call: Call, items: Sequence[Any], index: int) -> None:
    if call.mode == APPLY:
        ((args, kwds),) = items
        dumps(args, [], label="args")
        dumps(kwds, [], label="kwds")
        return
    for number, item in enumerate(items, index):
        dumps(item, [], label=call.label(number))


class RingLink(Link):
    """A worker's end; handed to a process as an argument of its target."""

    def __init__(
        self, tasks: _family.Ring, answers: _family.Ring, claims: _family.Claims, slot: int, number: int
    ) -> None:
        self._tasks = tasks
        self._answers = answers
        self._claims = claims
        self._slot = slot
        self._number = number
        self._repertoire = Repertoire()

    def serve(self, guard: _family.TaskGuard, most: int | None) -> int:
        """See Link."""
        return _family.serve(self, guard, most, (self._tasks, self._answers, self._claims, self._slot))

    def idle(self) -> None:
        """Told by the loop that there is nothing to do for the moment."""
        # What tasks printed shall be seen, whatever comes; if nobody can see it (the reader has gone, the
        # disk is full, a task has put something else there), the next task can be run all the same.
        with suppress(BaseException):
            _util._flush_std_streams()  # type: ignore[attr-defined]

    def function(self, key: int, text: Any) -> Any:
        """Asked by the loop for a function that is not that of the message before."""
        return self._repertoire.function(key, text)

    def read(self, data: Any) -> Message | None:
        """Asked by the loop for what an odd message says; None if that cannot be read, which is answered."""
        mid, key, _, prompt, mode, _ = task_end(data)
        try:
            text, items = loads(data)
            return mid, mode, prompt, self._repertoire.function(key, text), items
        except BaseException as error:  # noqa: BLE001 - somebody else's code, and its error is the answer
            self.unread(error)
            return None

    def unread(self, error: BaseException) -> None:
        """Told by the loop that the message taken last cannot be read."""
        claim = self._claims.read(self._slot)
        assert claim is not None
        carry: list[Any] = []
        self._put(claim[0], 0, 0, UNREAD, _packed(error, carry), carry)

    def answer(self, mid: int, first: int, values: list[Any], errors: dict[int, BaseException]) -> None:
        """See Link."""
        carry: list[Any] = []
        count = len(values)
        try:
            kind, payload = outcome.pack(values, errors, carry)
            self._put(mid, first, count, kind, payload, carry)
        except MemoryError as error:
            kind, payload = outcome.pack([None] * count, dict.fromkeys(range(count), error), [])
            self._put(mid, first, count, kind, payload, [])

    def ready(self) -> None:
        """See Link."""
        self._put(0, self._number, 0, READY, b"", [])

    def failed(self, error: BaseException) -> None:
        """See Link."""
        carry: list[Any] = []
        self._put(0, self._number, 0, FAILED, _packed(error, carry), carry)

    def _put(self, mid: int, first: int, count: int, kind: int, payload: bytes, carry: list[Any]) -> None:
        self._answers.put(payload + ANSWER_END.pack(mid, first, count, kind), True, None, 0, carry)


def _packed(error: BaseException, carry: list[Any]) -> bytes:
    return pickle.dumps([outcome.pack_error(error, carry)], _PROTOCOL)
