"""A channel over two rings in shared memory, to worker processes: the hot path.

All workers take from one ring of messages and put to one ring of answers; each has a slot in a table
of claims, written as part of the taking.  A message is one pickle; an answer has a head that can be
read without unpickling anything.  Bytes that are empty dismiss a worker, or nudge the pool.
"""

from __future__ import annotations

import pickle
import struct
from collections import deque
from collections.abc import Iterator, Sequence
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
    NUDGE,
    READY,
    UNREAD,
    Batch,
    Channel,
    Claim,
    Cut,
    Head,
    Link,
    Message,
    Opened,
    Taken,
)
from .functions import Repertoire, Shelf
from .task import APPLY, EACH, Call

_HEAD = struct.Struct("<QIIB")
_SIZE = _HEAD.size
_NOTHING = (0, 0, 0, NUDGE)
_BATCH = 256
"""Most answers that are received at once, as long as they carry nothing."""

_PROTOCOL = pickle.HIGHEST_PROTOCOL


class RingChannel(Channel):
    """For at most `size` workers at a time.  Raises MemoryError or OSError where memory is refused."""

    def __init__(self, size: int) -> None:
        self._tasks: Any = _family.Ring()
        self._answers: Any = _family.Ring()
        self._claims: Any = _family.Claims(size)
        # How many at once, and whether to wait.  What a batch carried is held until the last of its answers
        # is opened: where answers carry something each is a batch.
        self._most: list[int] = [1, False]
        # One after the other: answers, and what they carried.
        self._batches: Iterator[Batch] = zip(
            starmap(self._answers.get_many, repeat(self._most)),
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
        message = mid, call.mode, call.block, call.prompt, key, text, items
        if _plain(call.mode, items):
            data = pickle.dumps(message, _PROTOCOL)
        else:
            carried = list(carry)
            data = _pickled(message, carried, call, index)
            carry = carried
        self._tasks.put(data, True, None, mid, carry)

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

    def head(self, answer: Any) -> Head:
        """See Channel."""
        return _HEAD.unpack_from(answer) if answer else _NOTHING

    def open(self, answer: Any, taken: Taken | None = None) -> Opened:
        """See Channel."""
        _, _, count, kind = self.head(answer)
        payload = memoryview(answer)[_SIZE:]
        if kind in (UNREAD, FAILED):
            kind, count = outcome.MIXED, 1
        return outcome.open_packed(kind, payload, count, taken)

    def nudge(self) -> None:
        """See Channel."""
        try:
            self._answers.put(b"")
        except MemoryError:
            self._answers.interrupt()

    def dismiss(self) -> None:
        """See Channel."""
        self._tasks.put(b"")

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
        if claim is None:
            return None
        return Claim(*claim)

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

    put = interrupt = settle = read = wait_readable = cut = get

    def qsize(self) -> int:
        return 0


def _plain(mode: int, items: Sequence[Any]) -> bool:
    """Can the C pickler do it alone, with nothing to look for?"""
    if mode == EACH:
        return outcome.SCALARS.issuperset(map(type, items))
    if mode == APPLY:
        ((args, kwds),) = items
        return not kwds and type(args) is tuple and outcome.SCALARS.issuperset(map(type, args))
    return False


def _pickled(message: Any, carry: list[Any], call: Call, index: int) -> bytes:
    carried = len(carry)
    try:
        return dumps(message, carry)
    except TransferError:
        # Again, part by part: for an error with a path from what the caller knows.
        del carry[carried:]
        _blame(call, message[6], index)
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
        self._items: Any = ()

    def take(self) -> Message | None:
        """See Link."""
        while data := self._next():
            try:
                mid, mode, block, prompt, key, text, self._items = loads(data)
                return mid, mode, block, prompt, self._repertoire.function(key, text), self._items
            except BaseException as error:  # noqa: BLE001 - somebody else's code, and its error is the answer
                self._unread(error)
        return None

    def begin(self, begun: int, span: int, end: int) -> int:
        """See Link."""
        return self._claims.begin(self._slot, begun, span, end)

    def answer(self, mid: int, first: int, values: list[Any], errors: dict[int, BaseException]) -> None:
        """See Link."""
        carry: list[Any] = []
        count = len(values)
        self._let_go(first, count)
        try:
            kind, payload = outcome.pack(values, errors, carry)
            self._put(mid, first, count, kind, payload, carry)
        except MemoryError as error:
            kind, payload = outcome.pack([None] * count, dict.fromkeys(range(count), error), [])
            self._put(mid, first, count, kind, payload, [])

    def _let_go(self, first: int, count: int) -> None:
        """Of items that are done, so that what a task gives back of them may be nobody's but its own."""
        if type(self._items) is list:
            self._items[first : first + count] = [None] * count

    def ready(self) -> None:
        """See Link."""
        self._put(0, self._number, 0, READY, b"", [])

    def failed(self, error: BaseException) -> None:
        """See Link."""
        carry: list[Any] = []
        self._put(0, self._number, 0, FAILED, _packed(error, carry), carry)

    def _put(self, mid: int, first: int, count: int, kind: int, payload: bytes, carry: list[Any]) -> None:
        self._answers.put(_HEAD.pack(mid, first, count, kind) + payload, True, None, 0, carry)

    def _next(self) -> bytes | _family.NativeBuffer:
        # Some of them may have been cut off for others: nothing is kept while we wait.
        self._items = ()
        data = self._tasks.get_claimed(self._claims, self._slot, False)
        if data is None:
            # Nothing to do for the moment: what tasks printed shall be seen, whatever comes.
            _util._flush_std_streams()  # type: ignore[attr-defined]
        while data is None:
            data = self._tasks.get_claimed(self._claims, self._slot)
        return data

    def _unread(self, error: BaseException) -> None:
        claim = self._claims.read(self._slot)
        assert claim is not None
        carry: list[Any] = []
        self._put(claim[0], 0, 0, UNREAD, _packed(error, carry), carry)


def _packed(error: BaseException, carry: list[Any]) -> bytes:
    return pickle.dumps([outcome.pack_error(error, carry)], _PROTOCOL)
