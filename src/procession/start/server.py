"""The fork server: a process with nothing in it but what was preloaded, which forks children.

Each process that starts children by this method has one of its own, found in `serverlink`.  A few
children are forked in advance: they wait for a request, so that a start costs no fork.
"""

import errno
import gc
import importlib
import os
import pickle
import signal
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import process as _std
from multiprocessing import util as _util
from typing import NamedTuple, NoReturn

from .. import _family, process
from .. import _private as private
from . import child, lifeline, pidfd, wire
from .served import wait_for_request
from .wire import Message

SPARE = 2
"""Children forked in advance."""


def serve(*, requests: int, heap: int, life: int, report: int, contents: int) -> NoReturn:
    """Run the server.

    `requests`: the connection with its owner.  `heap`: of the family that it joins.  `life` and
    `report`: the owner's pipes, for the children.  `contents`: what to preload.
    """
    # Ctrl-C is for the owner; a mask of the thread that started the server is no child's.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for fd in (requests, life, report, contents):
        os.set_inheritable(fd, False)
    # Also when it is in the middle of an import that never ends.
    lifeline.die_with_parent(life)
    _family.attach(heap)
    os.close(heap)
    process.begin("forkserver")
    with open(contents, "rb") as file:
        *asked_for, rooms = pickle.load(file)
    _preload(*asked_for)
    _util._close_stdin()  # type: ignore[attr-defined]
    _util._flush_std_streams()  # type: ignore[attr-defined]
    pidfd.available()  # asked once, for all children
    _Server(requests, life, report, rooms).run()


def _preload(modules: list[str], preparation: dict[str, object], on_error: str) -> None:
    """Import what children will need: main and what the program asks for.

    What fails will fail in them, too, and be told there; but if `on_error` is "warn" the server
    says so as well, and with "fail" it ends.
    """
    from multiprocessing import spawn

    child.take_main()
    _std.current_process()._inheriting = True  # type: ignore[attr-defined]
    try:
        _attempt("__main__", partial(spawn.prepare, preparation), on_error)
    finally:
        del _std.current_process()._inheriting  # type: ignore[attr-defined]
    for name in modules:
        _attempt(name, partial(importlib.import_module, name), on_error)


def _attempt(name: str, load: Callable[[], object], on_error: str) -> None:
    try:
        load()
    except (Exception, SystemExit) as error:  # whatever anybody's module raises
        if on_error == "fail":
            raise
        text = f"the fork server could not preload {name}: {error!r}"
        _util.debug(text)
        if on_error == "warn":
            warnings.warn(text, ImportWarning, stacklevel=1)


class _Spare(NamedTuple):
    pid: int
    fd: int


class _Server:
    def __init__(self, requests: int, life: int, report: int, rooms: list[str]) -> None:
        self._rooms = deque(rooms)
        """Modules of this package that the owner has in use, still to be imported."""
        self._requests = requests
        self._for_children = requests, life, report
        self._spares: deque[_Spare] = deque()
        self._wanted = SPARE
        self._serials: dict[int, int] = {}
        """Of running children, by pid."""
        r, w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._bell = private.keep(r)
        # SIGCHLD is only heard if it has a handler, though that has nothing to do.
        signal.set_wakeup_fd(private.keep(w), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> NoReturn:
        """Until the owner has gone."""
        while True:
            # Those who wait come first; rooms are furnished and spares forked when there is nothing
            # else to do.
            short = bool(self._rooms) or len(self._spares) < self._wanted
            ready = pidfd.readable([self._requests, self._bell], 0 if short else None)
            if self._bell in ready:
                os.read(self._bell, 4096)
            self._reap()
            if self._requests in ready:
                self._accept()
            elif self._rooms:
                self._furnish(self._rooms.popleft())
            elif short:
                self._fork_in_advance()

    def _furnish(self, room: str) -> None:
        _attempt(room, partial(importlib.import_module, room), "ignore")
        if not self._rooms:
            # It stays for ever: children's collectors need not go through it, and have it copied by that.
            gc.freeze()

    def _accept(self) -> None:
        request = wire.receive(self._requests)
        if request is None:
            _family.leave()
            os._exit(0)
        try:
            if not request.fds:
                raise OSError(errno.EMFILE, "the server has no room for descriptors")
            while not self._hand_over(request, self._next(request.fds)):
                pass  # it was killed while it waited
        except OSError as error:
            self._tell(wire.REFUSED, request.serial, error.errno or 0)
        wire.close_all(request.fds)
        self._wanted = SPARE

    def _next(self, fds: Sequence[int]) -> _Spare:
        return self._spares.popleft() if self._spares else self._fork(fds)

    def _hand_over(self, request: Message, spare: _Spare) -> bool:
        try:
            wire.send(spare.fd, request)
        except (BrokenPipeError, ConnectionResetError):
            return False
        finally:
            private.close(spare.fd)
        self._serials[spare.pid] = request.serial
        return True

    def _tell(self, kind: int, serial: int, value: int) -> None:
        # May block on an owner that does not listen: he does as soon as he wants anything of us.
        with suppress(OSError):  # gone; the next line that reads notices
            wire.send(self._requests, Message(kind, serial, value))

    def _fork(self, fds: Sequence[int]) -> _Spare:
        """`fds`: of a request that is here already; whoever it goes to gets its own."""
        ours, theirs = wire.pair()
        private.keep(ours)
        try:
            pid = os.fork()
            if pid == 0:
                wire.close_all(fds)
                wait_for_request(theirs, *self._for_children)
            _family.forked(pid)
        except OSError:
            private.close(ours)
            raise
        finally:
            os.close(theirs)
        return _Spare(pid, ours)

    def _fork_in_advance(self) -> None:
        try:
            self._spares.append(self._fork([]))
        except OSError:
            self._wanted = 0  # until there is a request; a reason will be given then

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                self._bury(ended[0], os.waitstatus_to_exitcode(ended[1]))

    def _bury(self, pid: int, code: int) -> None:
        serial = self._serials.pop(pid, None)
        if serial is not None:
            self._tell(wire.ENDED, serial, code)
        for spare in [spare for spare in self._spares if spare.pid == pid]:
            self._spares.remove(spare)
            private.close(spare.fd)
