"""The life of a worker, process or thread; its loop is native, see ``rust/binding/src/serve.rs``.

A worker outlives whatever its tasks raise.  It ends when it is dismissed, when it has had the tasks
that one worker may have, or, having said why, when its initializer fails.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without enums, which cost each worker
import sys
from collections.abc import Callable, Iterable
from multiprocessing import util as _util
from multiprocessing.process import current_process
from typing import Any

from .. import _family
from ..process import admit_children
from ..start import lifeline
from .channel import Link

Begin = tuple[Callable[..., object] | None, Iterable[Any]]
"""An initializer and its arguments."""


class _Guard(_family.TaskGuard):
    """Lets Ctrl-C interrupt tasks, but not the work between them.

    A terminal sends SIGINT to the whole group.  The parent is the one to decide what comes of it;
    a worker that died of it, or wrote a traceback, would only add to the noise.
    """

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
    count = link.serve(guard, most)
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
