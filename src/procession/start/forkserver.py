"""forkserver: the child is forked by a server that has nothing of this process in it."""

from multiprocessing import process as _process

from . import child, command, parcel, reports, serverlink, surroundings, wire
from .carried import Carried
from .place import Place
from .wire import Message

__all__ = ["Popen"]


class Inherited:
    """Leads a child to a descriptor that came with the request for it."""

    def __init__(self, index: int) -> None:
        self.index = index

    def detach(self) -> int:
        """The descriptor, in the child; to be called once."""
        assert child.inherited_fds is not None, "only a child of the fork server has this descriptor"
        return child.inherited_fds[self.index]


class Popen(Carried):
    """A child of the fork server of this process; a start is most often a hand-over."""

    method = "forkserver"
    DupFd = Inherited
    _is_ours = False

    def duplicate_for_child(self, fd: int) -> int:
        """The place of the descriptor among those which go to the child."""
        self._fds.append(fd)
        return len(self._fds) - 1

    def _launch(self, process_obj: _process.BaseProcess) -> None:
        with parcel.packed(self, process_obj, self._carried, surroundings.packed()) as contents:
            place = Place()
            try:
                answer = self._ask(process_obj.daemon, contents, place)
                self.pid = answer.value
                self._watch(place.bind_received(answer.fds))
            except BaseException:
                self._abandon(place)
                raise

    def _ask(self, daemon: bool, contents: int, place: Place) -> Message:
        self._serial = reports.expect(self)
        ends = [fd for fd in [place.child_end] if fd is not None]
        with surroundings.streams() as streams:
            fds = [contents, *streams, command.tracker(), *ends, *self._fds]
            request = Message(wire.START, self._serial, wire.DAEMON if daemon else 0, fds)
            self._server, answer = serverlink.start(request, place.vacate)
        return answer

    def _exit_code(self) -> int | None:
        code = self._server.exit_code(self._serial)
        if code is None and self._server.gone:
            # As far as the kernel tells.
            return super()._exit_code()
        return code
