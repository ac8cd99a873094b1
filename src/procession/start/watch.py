"""What the handles of all start methods have in common: the watch over one child."""

from __future__ import annotations

import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import process as _process
from multiprocessing import util as _util
from typing import TYPE_CHECKING, ClassVar

from .. import _family, _standard
from .. import _private as private
from . import gate, pidfd
from .place import Place

if TYPE_CHECKING:
    from ..errors import ProcessError


class Watched(ABC):
    """A started process as its parent sees it; the stdlib calls such a thing Popen.

    `pid`: of the child.  `sentinel`: a descriptor that is readable once the child has ended.
    `returncode`: as of `Process.exitcode`, None as long as the child is not known to have ended.
    `start_error`: why the child never came to run its target; None if it did, or still may.
    """

    method: ClassVar[str]
    carries_heap: ClassVar[bool] = True
    """The child is of this process's family: shared objects may be among what it is given."""
    pid: int = 0
    sentinel: int = -1
    returncode: int | None = None
    start_error: ProcessError | None = None
    _open: int = -1
    """The sentinel as long as it is to be closed."""
    _shown: int | None = None
    _gate: _util.Finalize | None = None
    _is_ours: ClassVar[bool] = True
    """Is it a child of this very process, which alone can wait for it?"""

    def __init__(self, process_obj: _process.BaseProcess) -> None:
        # Or a forked child writes once more what its parent has in its buffers.
        _util._flush_std_streams()  # type: ignore[attr-defined]
        self._starter = os.getpid()
        # Reentrant, since a finalizer that looks at all processes may run at any moment.
        self._reaping = threading.RLock()
        _standard.reserve()
        self._launch(process_obj)
        # At once, with no step in between at which a signal handler could raise: so `start` finds it.
        process_obj._popen = self  # type: ignore[attr-defined]

    @abstractmethod
    def _launch(self, process_obj: _process.BaseProcess) -> None:
        """Start the child, set `pid`, call `_watch`; leave nothing behind on failure."""

    @abstractmethod
    def duplicate_for_child(self, fd: int) -> int:
        """Have the child get `fd`; what is given back leads the child to it."""

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """The exit code if the child has ended; else None, or with flag 0 wait for it."""
        return self.wait(0 if flag & os.WNOHANG else None)

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code once the child has ended; None if it has not within `timeout` seconds."""
        # A fork of the parent has the object but not the child.
        while self.returncode is None and os.getpid() == self._starter and self._ended(timeout):
            self._reap()
            if timeout is not None:
                break
        return self.returncode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._send_signal(signal.SIGKILL)

    def interrupt(self) -> None:
        """Send SIGINT."""
        self._send_signal(signal.SIGINT)

    def gated(self) -> int:
        """The sentinel, or a descriptor that is readable when the child's messages are seen, too."""
        with self._reaping:
            # It stays what it was when it was asked for first: somebody may be waiting with it.
            if self._shown is None:
                fd = gate.before(self.sentinel)
                if fd is not None:
                    self._gate = _util.Finalize(self, gate.close, (self.sentinel, fd))
                self._shown = self.sentinel if fd is None else fd
            return self._shown

    def close(self) -> None:
        """Give up the sentinel."""
        if self._gate is not None:
            self._gate()
        self._close()

    def _close(
        self, close: Callable[[int], None] = private.close, pid: Callable[[], int] = os.getpid
    ) -> None:
        # By arguments, since the globals of modules may be gone.
        sentinel, self._open = self._open, -1
        if sentinel >= 0 and pid() == self._starter:
            close(sentinel)

    # No finalizer of the stdlib's, which is five more objects a child.
    __del__ = _close

    def _watch(self, sentinel: int) -> None:
        private.undo(_disown)
        self.sentinel = self._open = private.keep(sentinel)

    def put_down(self) -> None:
        """End the child of a start that was broken off when it was there already, and wait for that."""
        self.kill()
        self.wait()
        self.close()

    def _abandon(self, place: Place) -> None:
        """The start has failed, or Ctrl-C has come in the middle of it: there shall be no child."""
        if os.getpid() != self._starter:
            os._exit(1)  # in the forked child itself, which must not go on as if it were its parent
        if self.sentinel >= 0:
            self.put_down()
            return
        place.cancel()
        if self.pid:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)

    def _ended(self, timeout: float | None) -> bool:
        if timeout is None and self._is_ours and pidfd.available():
            try:
                os.waitid(os.P_PIDFD, self.sentinel, os.WEXITED | os.WNOWAIT)
            except OSError:  # reaped by somebody else
                pass
            else:
                return True
        return bool(pidfd.readable([self.sentinel], timeout))

    def _reap(self) -> None:
        with self._reaping:
            code = self._exit_code() if self.returncode is None else None
            # Unless a finalizer has been quicker, within the line above.
            if self.returncode is not None or code is None:
                return
            self.returncode = code
        self._buried(code)

    def _buried(self, code: int) -> None:
        """The child has ended with `code`, and this is the first to know."""
        _family.bury(self.pid)

    def _exit_code(self) -> int | None:
        """How the child ended, which its sentinel says it has."""
        try:
            code = self._waited()
            return pidfd.persistently(self._waited) if code is None else code
        except ChildProcessError:
            # Reaped by somebody else, or by the kernel because SIGCHLD is ignored.
            return pidfd.exit_code(self.sentinel)

    def _waited(self) -> int | None:
        by_pidfd = pidfd.available()
        kind, which = (os.P_PIDFD, self.sentinel) if by_pidfd else (os.P_PID, self.pid)
        result = os.waitid(kind, which, os.WEXITED | os.WNOHANG)
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

    def _send_signal(self, sig: int) -> None:
        if self.poll() is not None or os.getpid() != self._starter:
            return
        try:
            if pidfd.available():
                signal.pidfd_send_signal(self.sentinel, sig)
            else:
                os.kill(self.pid, sig)
        except ProcessLookupError:
            pass
        except OSError:
            # Not permitted; but perhaps the child has just ended.
            if self.wait(timeout=0.1) is None:
                raise


def _disown() -> None:
    """In a forked child: the processes that the parent started are no children of ours.

    Without this the exit of any program that forks by itself would end in the attempt to join
    them.
    """
    for process in list(_process._children):  # type: ignore[attr-defined]
        if isinstance(process._popen, Watched):
            _process._children.discard(process)  # type: ignore[attr-defined]
