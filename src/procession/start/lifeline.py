"""How a child learns that its parent is gone, however the parent went.

A process that starts children has one pipe, the life pipe.  It alone holds the write end; every
child gets the read end, which hangs up when the kernel closes the write end of a dead parent.
`parent_process()` waits on it.

A child that must not outlive its parent asks the kernel to kill it at that moment: it opens the
read end anew (the settings are those of an open file, which siblings would share), and has the
signal for "something happened here" be SIGKILL, sent to itself.  No thread is needed, and nothing
that the child does, not even a loop in C which never lets go of the interpreter, stands in the
way.  The parent-death signal of prctl is no substitute: it follows the thread that forked.
"""

import fcntl
import os
import select
import signal
import threading
from multiprocessing import process as _std

from . import private

_lock = threading.Lock()
_ends: tuple[int, int] | None = None
_inherited: int | None = None


def read_end() -> int:
    """The end for children of this process's life pipe, which is made at first use."""
    global _ends
    with _lock:
        if _ends is None:
            r, w = os.pipe()
            _ends = r, private.keep(w)
        return _ends[0]


def inherited() -> int:
    """In a forked child: the read end of its parent's life pipe."""
    assert _inherited is not None
    return _inherited


def die_with_parent(fd: int | None = None) -> None:
    """From now on this process is killed as soon as its parent has ended.

    `fd` is the read end of the parent's life pipe; by default that of the process's parent as
    `parent_process()` has it.  Nothing happens in a process without such a parent.
    """
    if fd is None:
        parent = _std.parent_process()
        fd = None if parent is None else parent.sentinel
    if fd is None:
        return
    try:
        _ask_kernel(fd)
    except OSError:
        threading.Thread(target=_watch, args=(fd,), name="lifeline", daemon=True).start()
    # The parent may have gone before the kernel was asked; the old descriptor still tells.
    if _hung_up(fd, 0):
        os.kill(os.getpid(), signal.SIGKILL)


def _ask_kernel(fd: int) -> None:
    own = private.keep(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK))
    fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | os.O_ASYNC)


def _watch(fd: int) -> None:
    """The thread for machines without /proc."""
    while not _hung_up(fd, None):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def _hung_up(fd: int, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(timeout))


def _forget() -> None:
    """In a forked child: the parent's pipe is not ours, but for its read end."""
    global _lock, _ends, _inherited
    _lock = threading.Lock()
    _inherited = None if _ends is None else private.keep(_ends[0])
    _ends = None


os.register_at_fork(after_in_child=_forget)
