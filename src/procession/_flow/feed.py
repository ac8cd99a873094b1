"""The input of imap, read no further ahead than is good.

A list or the like is read by the consumer's own calls, a piece for each result that it takes.  Any
other input may block, or take its time, in somebody else's code: it is read by a thread.  Tasks are run
whether somebody takes the results or not: when the iterator is dropped, a thread reads on, as fast as
tasks are done; `join` waits for the whole input to be read and run.
"""

from __future__ import annotations

import _thread
import math
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from time import monotonic
from typing import TYPE_CHECKING, Any

from .stream import Stream

if TYPE_CHECKING:
    from .scheduler import Scheduler

AHEAD = 64
"""Messages that may be on the way or not yet taken, for pools of up to half as many workers."""
HOLD = 0.0005
"""Seconds that the tasks of a message may take together, where they are so short that several go in one."""
TOGETHER = 16
"""Most units in a message."""
PROMPT = frozenset({list, tuple, range, str, bytes, dict, set, frozenset, deque})
"""Inputs whose items are there already; to read them runs nobody's code."""
_MARK = object()
_MARKS = (_MARK,)


class Feed:
    """Submits the items of one imap, a unit of `chunksize` or more a message, for `size` workers.

    More than one only as long as units are taken so quickly that their tasks must be short, and not at
    all where a message is to have one unit (`single`).
    """

    def __init__(
        self, scheduler: Scheduler, stream: Stream, chunksize: int, size: int, *, single: bool = False
    ) -> None:
        self._scheduler = scheduler
        self._stream = stream
        self._chunksize = chunksize
        self._workers = size
        self._single = single
        self._units = 1
        self._filled = 0, 0.0
        self._most = max(AHEAD, 2 * size)
        self._ahead: float = self._most * chunksize
        self._piece: list[Any] = []
        self._failure: BaseException | None = None
        self._sent = 0
        self._ended = True
        self._orphaned = False
        self._resting = False
        self._reading = threading.RLock()
        self._thread: threading.Thread | None = None
        self._iterator: Iterator[Any] = iter(())

    def begin(self, iterable: Iterable[Any]) -> None:
        """Start to read.  An error of the input is raised by `next()`, after the results before it."""
        try:
            self._ended = False
            self._scheduler.feeds.add(self)
            self._open(iterable)
            if type(iterable) in PROMPT:
                self.refill()
            elif not self._ended:
                self._start()
        except BaseException:
            self._end(None)
            raise

    def _open(self, iterable: Iterable[Any]) -> None:
        try:
            self._iterator = iter(iterable)
        except Exception as error:  # noqa: BLE001 - somebody else's code
            self._end(error)

    @property
    def done(self) -> bool:
        """See Waited, for the thread: there is room for some pieces, or nothing more to read."""
        return self._stopped or self._room() >= self._ahead / 2

    def refill(self) -> None:
        """Called by who takes results, before taking: read what there is room for."""
        if self._ended:
            return
        if self._thread is None:
            if self.done:
                with self._reading:
                    self._adapt()
                    while self._room() > 0 and not self._stopped:
                        self._forward()
        elif self._resting and self.done:
            self._scheduler.helpers.wake(self)

    def _adapt(self) -> None:
        """Choose how many units go together, by the pace at which results were taken since the last time."""
        (before, then), now, taken = self._filled, monotonic(), self._stream.taken
        self._filled = taken, now
        if taken > before and not self._single:
            pace = (now - then) * self._workers * self._chunksize / (taken - before)
            # Not all at once: others may have kept the consumer waiting.
            self._units = max(1, self._units // 2, min(TOGETHER, int(HOLD / pace), 2 * self._units))
            if self._ahead != math.inf:
                self._ahead = self._most * self._chunksize * self._units

    def orphan(self) -> None:
        """Nobody will take results any more.  Called where the iterator is dropped, at any moment."""
        self._orphaned = True
        self._stream.abandon()
        if not self._stopped:
            # By no other means: the moment may be one in which `threading` holds its own lock.
            with suppress(RuntimeError):  # the interpreter ends
                _thread.start_new_thread(self._read_on, ())

    def lift(self) -> None:
        """From now on read as far as there is anything."""
        self._ahead = math.inf
        self._read_on()

    @property
    def _stopped(self) -> bool:
        return self._ended or self._scheduler.is_over

    def _room(self) -> float:
        """Items that may be sent before somebody takes results, or their tasks are done."""
        if self._ahead == math.inf:
            return math.inf
        messages = self._stream.on_the_way
        if messages >= self._most:
            # Sent while a message had fewer units: there would be too many for a while.
            return 0
        pending = messages * self._chunksize
        return self._ahead - (pending if self._orphaned else self._sent - self._stream.taken)

    def _read_on(self) -> None:
        if self._thread is None:
            self._start()
        self._scheduler.helpers.wake(self)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="procession-imap", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            if self._room() > 0:
                with self._reading:
                    self._forward()
            else:
                self._resting = True
                self._scheduler.helpers.wait(self, patient=True)
                self._resting = False

    def _forward(self) -> None:
        """Read one piece, and send it."""
        if not self._piece and self._failure is None:
            self._read()
        items = self._piece[:-1]
        if items and self._failure is None:
            self._scheduler.submit(self._stream, self._sent, items)
            self._sent, self._piece = self._sent + len(items), []
        else:
            # As in the stdlib, what came before an error in the same piece is not run.
            self._end(self._failure)

    def _read(self) -> None:
        """Have a piece of the input in `_piece`, with a mark behind it."""
        source = chain(islice(self._iterator, self._chunksize * self._units), _MARKS)
        try:
            # In one step, so that no signal handler comes between reading and having read.
            self._piece.extend(source)
        except BaseException as error:
            if self._piece and self._piece[-1] is _MARK:
                raise  # a signal handler's, after all was read
            self._failure = error
            if self._thread is not threading.current_thread() and not isinstance(error, Exception):
                raise

    def _end(self, error: BaseException | None) -> None:
        self._stream.seal(self._sent, error)
        self._scheduler.feeds.discard(self)
        self._iterator = iter(())
        self._piece = []
        # Last: until here it can be begun again.
        self._ended = True
        self._scheduler.helpers.wake(self._scheduler.idle)
