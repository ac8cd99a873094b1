"""fork: the child is a copy of its parent."""

import os
import threading
from multiprocessing import process as _process
from typing import NoReturn

from .. import _family, process
from . import child, lifeline
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
        lifeline.read_end()
        _family.heap_fd()
        # One at a time: where the place is a pipe, no sibling may inherit its writing end.
        with _lock:
            place = Place()
            try:
                self.pid = os.fork()
                if self.pid == 0:
                    _live(process_obj, place)
                _family.forked(self.pid)
                self._watch(place.bind(self.pid))
            except BaseException:
                self._abandon(place)
                raise


def _live(process_obj: _process.BaseProcess, place: Place) -> NoReturn:
    code = 1
    try:
        place.enter_child()
        life = lifeline.inherited()
        if process_obj.daemon:
            lifeline.die_with_parent(life)
        process.started_by = "fork" if process_obj._start_method else None  # type: ignore[attr-defined]
        child.forget_exit_handlers()
        code = process_obj._bootstrap(parent_sentinel=life)  # type: ignore[attr-defined]
    finally:
        child.end(code)


def _new_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)
