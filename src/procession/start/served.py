"""A child of the fork server: forked, most often in advance, it waits to be told what to do."""

import atexit
import os
import signal
from multiprocessing import resource_tracker
from typing import NoReturn

from .. import _private as private
from . import child, lifeline, pidfd, surroundings, wire
from .reports import Reporter
from .wire import Message


def wait_for_request(fd: int, owner: int, life: int, report: int) -> NoReturn:
    """Live the life of a child; `fd` is its end of a connection with the server.

    `owner`: the connection with the process that the child is for.  `life`, `report`: its pipes.
    """
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        atexit._clear()  # the handlers so far are the server's
        private.keep(life)
        request = wire.receive(fd)
        os.close(fd)
        if request is not None and request.fds and _said(owner, request):
            code = _serve(request, life, report)
    finally:
        child.end(code)


def _said(owner: int, request: Message) -> bool:
    """Tell the owner that this is the process he asked for; false if he has gone."""
    told = [os.pidfd_open(os.getpid())] if pidfd.available() else []
    try:
        wire.send(owner, Message(wire.STARTED, request.serial, os.getpid(), told))
    except OSError:
        return False
    finally:
        wire.close_all([owner, *told])
    return True


def _serve(request: Message, life: int, report: int) -> int:
    if request.value & wire.DAEMON:
        lifeline.die_with_parent(life)
    contents, out, err, tracker, *others = request.fds
    if not pidfd.available():
        private.keep(others.pop(0))

    def prepare() -> None:
        surroundings.take(contents)
        surroundings.take_streams([out, err])
        resource_tracker._resource_tracker._fd = tracker  # type: ignore[attr-defined]
        child.inherited_fds = others

    return child.run("forkserver", contents, life, Reporter(report, request.serial), prepare)
