"""fork: the child is a copy of its parent."""

import atexit
import os
import threading
from itertools import starmap
from multiprocessing import process as _process
from typing import NoReturn

from .. import _family, process
from .. import _private as private
from . import child, lifeline, pidfd
from .place import Place
from .watch import Watched

__all__ = ["Popen"]

_lock = threading.Lock()


class Popen(Watched):
    """A child that inherits everything; nothing needs to be pickled."""

    method = "fork"

    def duplicate_for_child(self, fd: int) -> int:
        """The descriptor itself, which the child has anyway."""
        return fd

    def _launch(self, process_obj: _process.BaseProcess) -> None:
        # Made before the fork, so that parent and child have them in common.
        life = lifeline.read_end()
        _family.heap_fd()
        if pidfd.available():
            self._fork(process_obj, life)
        else:
            private.undo(_new_lock)
            # One at a time: no sibling may inherit the writing end of a pipe.
            with _lock:
                self._fork(process_obj, life)

    def _fork(self, process_obj: _process.BaseProcess, life: int) -> None:
        daemon = process_obj._config.get("daemon")  # type: ignore[attr-defined]
        place = Place(life if daemon else None)
        # Filled in the step that forks, after which a signal handler may raise.
        pids: list[int] = []
        try:
            pids.extend(starmap(os.fork, ((),)))
            self.pid = pids[0]
            if self.pid == 0:
                _live(process_obj, place, life)
            _family.forked(self.pid)
            self._watch(place.bind(self.pid))
        except BaseException:
            self.pid = pids[0] if pids else 0
            self._abandon(place)
            raise


def _live(process_obj: _process.BaseProcess, place: Place, life: int) -> NoReturn:
    code = 1
    try:
        if place.child_end is not None:
            place.enter_child()
        private.keep(life)
        if process_obj._config.get("daemon"):  # type: ignore[attr-defined]
            lifeline.die_with_parent(life, place.life_end)
        process.begin("fork" if process_obj._start_method else None)  # type: ignore[attr-defined]
        atexit._clear()  # the handlers so far are the parent's
        code = process_obj._bootstrap(parent_sentinel=life)  # type: ignore[attr-defined]
    finally:
        child.end(code)


def _new_lock() -> None:
    global _lock
    _lock = threading.Lock()
