"""The fork server of this process, seen from this process; `server` is the other side."""

import errno
import os
import pickle
import signal
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import forkserver as _std

from .. import _family
from .. import _private as private
from ..errors import ProcessError
from . import command, lifeline, parcel, pidfd, reports, wire
from .wire import Message

_MOMENT = 5.0
"""Seconds for the word of a server that is alive; a fork may keep it busy."""
_ATTEMPTS = 3
"""Starts tried before it is given up, where servers or children end by themselves: the first server may
have been killed long ago."""
_MOST_ATTEMPTS = 50
"""As many where children are killed from outside, each before it was anything: that is no fault of what
is started, but somebody who kills them all is not to keep us for ever."""
_NO_ROOMS = tuple(f"{__name__.partition('.')[0]}.{name}" for name in ("__main__", "cli", "_stdlib"))
"""Modules that are programs, or the stdlib's."""
_KILLS = frozenset({-signal.SIGKILL, -signal.SIGTERM})
_PRELOADED = {"sys_path", "sys_argv", "orig_dir", "init_main_from_name", "init_main_from_path"}
"""The parts of the preparation data that importing depends on."""


class NotStartedError(ProcessError):
    """The fork server or the child ended before the child had what it was to do."""


class _KilledError(NotStartedError):
    """It was the child, and somebody killed it."""


class Server:
    """A running fork server."""

    def __init__(self) -> None:
        self._gone = False
        self._told: defaultdict[int, deque[Message]] = defaultdict(deque)
        # Reentrant: a finalizer that looks at processes may run at any moment.
        self._lock = threading.RLock()
        requests, theirs = wire.pair()
        self._requests = private.keep(requests)
        try:
            self.pid = _run(theirs)
        except BaseException:
            private.close(requests)
            raise
        finally:
            os.close(theirs)

    def ask(self, request: Message, sent: Callable[[], None]) -> Message:
        """Have a child started; `sent` is called before the answer, with a descriptor, comes.

        Raises OSError if the server may not fork, NotStartedError if it or the child has ended.
        """
        with self._lock:
            if not self._gone:
                with suppress(BrokenPipeError, ConnectionResetError):
                    wire.send(self._requests, request)
            sent()
            try:
                answer = self._hear(request.serial, None)
            except BaseException:
                # Ctrl-C, most likely: nobody would watch over the child.
                self._put_down(self._hear(request.serial, _MOMENT))
                raise
        if answer is None:
            raise NotStartedError(f"the fork server (pid {self.pid}) ended; its standard error may say why")
        if answer.kind == wire.ENDED:
            kind = _KilledError if answer.value in _KILLS else NotStartedError
            raise kind(f"the child ended with exit code {answer.value} before it was anything")
        if answer.kind == wire.REFUSED:
            raise OSError(
                answer.value, f"{os.strerror(answer.value)}: the fork server could not start a child"
            )
        if pidfd.available() and not answer.fds:
            self._put_down(answer)
            raise OSError(errno.EMFILE, f"{os.strerror(errno.EMFILE)}: no room to watch a child")
        return answer

    def _put_down(self, answer: Message | None) -> None:
        if answer is not None and answer.kind == wire.STARTED:
            with suppress(ProcessLookupError):
                os.kill(answer.value, signal.SIGKILL)
            wire.close_all(answer.fds)

    def exit_code(self, serial: int) -> int | None:
        """Of a child that has ended; None if the server is gone, or too busy to say."""
        with self._lock:
            told = self._hear(serial, _MOMENT)
        return None if told is None else told.value

    @property
    def gone(self) -> bool:
        """Has it ended, as far as this process has noticed?"""
        return self._gone

    def stop(self) -> None:
        """End the server; its running children live on."""
        with self._lock:
            private.close(self._requests)
            self._gone = True
        with suppress(ChildProcessError):
            pidfd.persistently(lambda: os.waitpid(self.pid, os.WNOHANG)[0] or None)

    def _hear(self, serial: int, timeout: float | None) -> Message | None:
        """The next message about the child; None if the server is gone or the time is over."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._told.get(serial) and not self._gone:
            left = None if deadline is None else deadline - time.monotonic()
            if not pidfd.readable([self._requests], left):
                break
            with suppress(BlockingIOError):  # heard in a finalizer, within the line above
                self._note(wire.receive(self._requests, block=False))
        if not self._told.get(serial):
            return None
        message = self._told[serial].popleft()
        if message.kind != wire.STARTED:
            del self._told[serial]  # it was the last
        return message

    def _note(self, message: Message | None) -> None:
        if message is None:
            self._gone = True
        else:
            self._told[message.serial].append(message)


def _run(requests: int) -> int:
    with parcel.filed([pickle.dumps(_preload())]) as contents:
        given = {
            "requests": requests,
            "heap": _family.heap_fd(),
            "life": lifeline.read_end(),
            "report": reports.channel()[1],
            "contents": contents,
        }
        return command.run(command.line("forkserver", **given), given.values())


def _preload() -> tuple[list[str], dict[str, object], str, list[str]]:
    # Before 3.15 nobody could ask for anything else.
    on_error = getattr(_std._forkserver, "_preload_on_error", "ignore")
    names = _std._forkserver._preload_modules  # type: ignore[attr-defined]
    data = parcel.preparation_data("forkserver")
    wanted = _PRELOADED if "__main__" in names else {"sys_path"}
    modules = [name for name in names if name != "__main__"]
    return modules, {k: v for k, v in data.items() if k in wanted}, on_error, _rooms()


def _rooms() -> list[str]:
    """The modules of this package that are in use here; who starts a pool sends children what is in them."""
    package = __name__.partition(".")[0]
    names = [name for name in list(sys.modules) if name.startswith(f"{package}.")]
    return [name for name in names if not name.startswith(_NO_ROOMS)]


# ---- the one of this process ---------------------------------------------------------------

_lock = threading.Lock()
_server: Server | None = None


def start(request: Message, sent: Callable[[], None]) -> tuple[Server, Message]:
    """Have the server, started if there is none, start a child; see :meth:`Server.ask`."""
    if len(request.fds) > wire.MOST_FDS:
        raise ValueError(
            f"{len(request.fds)} descriptors are to go to the new process, at most {wire.MOST_FDS} can:"
            " send some through a connection once it runs"
        )
    attempts = killed = 0
    while True:
        server = ensure_running()
        try:
            return server, server.ask(request, sent)
        except NotStartedError as error:
            if server.gone:
                _dismiss(server)
            # Nothing has been run: who has begun has said so first.
            if isinstance(error, _KilledError):
                killed += 1
            else:
                attempts += 1
            if attempts == _ATTEMPTS or killed == _MOST_ATTEMPTS:
                raise


def ensure_running() -> Server:
    """The server of this process, which is started if there is none."""
    global _server
    private.undo(_forget)
    with _lock:
        if _server is None:
            _server = Server()
        return _server


def running() -> Server | None:
    """The server of this process, if there is one."""
    return _server


def stop() -> None:
    """End the server of this process, if there is one."""
    if _server is not None:
        _dismiss(_server)


def _dismiss(server: Server) -> None:
    global _server
    with _lock:
        if _server is server:
            _server = None
            server.stop()


def _forget() -> None:
    """In a forked child: the server is the parent's."""
    global _lock, _server
    _lock, _server = threading.Lock(), None
