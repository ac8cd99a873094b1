"""The loop of a worker, process or thread: take a message, run its items, answer.

A worker outlives whatever its tasks raise.  It ends when it is dismissed, when it has had the tasks
that one worker may have, or, having said why, when its initializer fails.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without enums, which cost each worker
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, starmap
from multiprocessing import util as _util
from multiprocessing.process import current_process
from time import monotonic
from typing import Any

from ..process import admit_children
from ..start import lifeline
from .channel import Link, Message
from .task import EACH, STAR

PATIENCE = 0.001
"""Seconds for which results may lie with a worker while it goes on with the same message."""
QUICK = 0.0001
"""Seconds that a block of items shall take at most, by the pace of the last one."""
Begin = tuple[Callable[..., object] | None, Iterable[Any]]
"""An initializer and its arguments."""


class _Guard:
    """Lets Ctrl-C interrupt tasks, but not the work between them.

    A terminal sends SIGINT to the whole group.  The parent is the one to decide what comes of it;
    a worker that died of it, or wrote a traceback, would only add to the noise.
    """

    inside = False

    def install(self) -> None:
        # Ignored, or somebody's own handler: as the program wants it.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, _number: int, _frame: object) -> None:
        if self.inside:
            raise KeyboardInterrupt


def main(link: Link, begin: Begin, most: int | None, blocked: bool = False) -> None:
    """In a worker process: at most `most` messages, None for as many as come.

    `blocked`: the program blocks SIGINT.  It is blocked in any case while a worker starts, and so may
    SIGTERM be.
    """
    guard = _Guard()
    guard.install()
    if not blocked:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    # What the program does when it is asked to end is not for its workers to do too, nor are their
    # signals for its event loop.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    signal.set_wakeup_fd(-1)
    if not current_process().daemon:
        # A process class of the program's own that is none.
        lifeline.die_with_parent()
    admit_children()
    _part_from_siblings()
    if not work(link, begin, most, guard):
        sys.exit(1)


def _part_from_siblings() -> None:
    """NumPy, inherited, would give all of them the same random numbers; Python sees to its own."""
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


def work(link: Link, begin: Begin, most: int | None = None, guard: _Guard | None = None) -> bool:
    """The life of a worker; False if its initializer failed."""
    guard = guard or _Guard()
    if not _begun(link, begin, guard):
        return False
    count = 0
    while (most is None or count < most) and _served(link, guard):
        count += 1
    _util.debug("worker ends after %d messages", count)
    return True


def _begun(link: Link, begin: Begin, guard: _Guard) -> bool:
    initializer, arguments = begin
    try:
        if initializer is not None:
            guard.inside = True
            initializer(*arguments)
            guard.inside = False
    except BaseException as error:  # noqa: BLE001 - the pool raises it
        guard.inside = False
        link.failed(error)
        return False
    link.ready()
    return True


def _served(link: Link, guard: _Guard) -> bool:
    """Take and answer one message, in a frame of its own so that nothing of it is kept while waiting."""
    message = link.take()
    if message is None:
        return False
    if len(message[5]) == 1:
        _serve_one(link, message, guard)
    else:
        _Service(link, message, guard).run()
    return True


def _serve_one(link: Link, message: Message, guard: _Guard) -> None:
    """The work on a message with one item."""
    mid, mode, _, _, function, items = message
    link.begin(0, 1, 1)
    # Held by the list alone, which the link may empty.
    values: list[Any] = []
    try:
        guard.inside = True
        values.append(_call(mode, function, items[0]))
        guard.inside = False
    except BaseException as error:  # noqa: BLE001 - a task's error is its result
        guard.inside = False
        link.answer(mid, 0, [None], {0: error})
    else:
        link.answer(mid, 0, values, {})


def _call(mode: int, function: Callable[..., Any], item: Any) -> Any:
    if mode == EACH:
        return function(item)
    if mode == STAR:
        return function(*item)
    args, kwds = item
    return function(*args, **kwds)


class _Service:
    """The work on a message with more."""

    def __init__(self, link: Link, message: Message, guard: _Guard) -> None:
        self._link = link
        self._guard = guard
        self._mid, self._mode, self._block, self._prompt, self._function, self._items = message
        self._count = len(self._items)
        self._first = 0
        self._values: list[Any] = []
        self._errors: dict[int, BaseException] = {}

    def run(self) -> None:
        left = iter(self._items)
        span, flushed = 1, monotonic()
        before = flushed
        while span := self._begin(span):
            if not self._run_block(left, span):
                left = iter(self._items[self._first + len(self._values) :])
            now = monotonic()
            if now - flushed > PATIENCE or self._is_wanted:
                self._flush()
                flushed = now
            span = min(2 * span, self._block) if now - before < QUICK else 1
            before = now
        self._flush()

    @property
    def _is_wanted(self) -> bool:
        return self._prompt > 0 and not (self._first + len(self._values)) % self._prompt

    def _begin(self, span: int) -> int:
        begun = self._first + len(self._values)
        if self._prompt:
            span = min(span, self._prompt - begun % self._prompt)
        return self._link.begin(begun, span, self._count)

    def _run_block(self, left: Iterator[Any], span: int) -> bool:
        """Run that many items; False if one of them raised, which ends the block."""
        values = self._values
        expected = len(values) + span
        try:
            self._guard.inside = True
            if span == 1:
                values.append(_call(self._mode, self._function, next(left)))
            else:
                # What came before an error stays in the list.
                values.extend(_CALLERS[self._mode](self._function, islice(left, span)))
                # Within a loop in C, StopIteration looks like the end of the items.
                if len(values) < expected:
                    raise StopIteration
            self._guard.inside = False
        except BaseException as error:  # noqa: BLE001 - a task's error is its result
            self._guard.inside = False
            if len(values) < expected:
                self._errors[len(values)] = error
                values.append(None)
            return False
        return True

    def _flush(self) -> None:
        if self._values:
            first, values, errors = self._first, self._values, self._errors
            self._first += len(values)
            self._values, self._errors = [], {}
            self._link.answer(self._mid, first, values, errors)


_CALLERS: dict[int, Callable[..., Iterator[Any]]] = {EACH: map, STAR: starmap}
"""By mode: what gives the results of items, one after the other.  A call has but one item."""
