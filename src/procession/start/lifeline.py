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

import os
import select
import signal
import threading
from multiprocessing import process as _std

from .. import _family
from .. import _private as private

_ends: dict[int, tuple[int, int]] = {}
"""The ends of this process's life pipe, at 0."""


def read_end() -> int:
    """The end for children of this process's life pipe, which is made at first use."""
    if 0 not in _ends:
        _make()
    return _ends[0][0]


def _make() -> None:
    private.undo(_ends.clear)  # a forked child makes one of its own
    r, w = os.pipe()
    private.keep(w)
    # Another thread may have been quicker.
    if _ends.setdefault(0, (r, w)) != (r, w):
        os.close(r)
        private.close(w)


def die_with_parent(fd: int | None = None, own: int | None = None) -> None:
    """From now on this process is killed as soon as its parent has ended.

    `fd` is the read end of the parent's life pipe; by default that of the process's parent as
    `parent_process()` has it.  Nothing happens in a process without such a parent.  `own`: the same,
    opened anew for this process, if the parent has done that.
    """
    if fd is None:
        parent = _std.parent_process()
        fd = None if parent is None else parent.sentinel
    if fd is None:
        return
    try:
        _ask_kernel(fd, own)
    except OSError:
        threading.Thread(target=_watch, args=(fd,), name="lifeline", daemon=True).start()


def _ask_kernel(fd: int, own: int | None) -> None:
    if own is None:
        own = _family.end_with(fd)
    else:
        _family.end_by(own)
    private.keep(own)


def _watch(fd: int) -> None:
    """The thread for machines without /proc."""
    poll = select.poll()
    poll.register(fd, 0)
    while not poll.poll():
        pass
    os.kill(os.getpid(), signal.SIGKILL)
