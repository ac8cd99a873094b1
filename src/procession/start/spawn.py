"""spawn: the child is a new interpreter, which is told what to do."""

from multiprocessing import popen_spawn_posix as _std
from multiprocessing import process as _process

from .. import _family
from . import command, lifeline, parcel, reports
from .carried import Carried
from .place import Place

__all__ = ["Popen"]


class Popen(Carried):
    """A child that has nothing of its parent but what is given to it."""

    method = "spawn"
    DupFd = _std._DupFd

    def duplicate_for_child(self, fd: int) -> int:
        """The descriptor, which will have the same number in the child."""
        self._fds.append(fd)
        return fd

    def _launch(self, process_obj: _process.BaseProcess) -> None:
        with parcel.packed(self, process_obj, self._carried) as contents:
            place = Place()
            try:
                self.pid = self._run(process_obj.daemon, contents, place)
                self._watch(place.bind(self.pid))
            except BaseException:
                self._abandon(place)
                raise

    def _run(self, daemon: bool, contents: int, place: Place) -> int:
        given: dict[str, int] = {
            "contents": contents,
            "heap": _family.heap_fd(),
            "life": lifeline.read_end(),
            "report": reports.channel()[1],
            "tracker_fd": command.tracker(),
        }
        if place.child_end is not None:
            given["alive"] = place.child_end
        words = command.line("spawn", **given, serial=reports.expect(self), daemon=int(bool(daemon)))
        return command.run(words, [*given.values(), *self._fds])
