"""A sentinel that does not overtake what its process has put into queues.

Who waits for a queue's descriptor and for the end of the process that puts into it, as an executor
does, takes a process that has ended without a message for one that died.  But the kernel tells of
the end at once, and of the message a thread does, a moment later.  So where somebody may wait for a
queue's descriptor, a process is seen to end through a gate: a descriptor which is set when the
process has ended and every queue's descriptor is true.

One thread sets all gates; it is there as long as a process with a gate runs.  Used by
:mod:`procession.start.watch`; queues say when gates are needed.
"""

import errno
import os
import resource
import threading
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet

from .. import _private as private
from . import pidfd


class Descriptor(Protocol):
    """Follows a queue."""

    def update(self) -> None:
        """Make the descriptor say what is true now."""


_needed = False
_descriptors: WeakSet[Descriptor] = WeakSet()
# Reentrant: a finalizer that closes a gate may run at any moment.
_lock = threading.RLock()
_gates: dict[int, int] = {}
"""Gates of processes that still run, by sentinel."""
_bell: int | None = None
"""Tells the thread that there are other gates; None if there is no thread."""


def need() -> None:
    """Somebody has got hold of a queue's reading end: from now on gates are needed."""
    global _needed
    private.undo(_forget)
    _needed = True


def note(descriptor: Descriptor) -> None:
    """Gates wait for this one, too."""
    need()
    with _lock:
        _descriptors.add(descriptor)


def before(sentinel: int) -> int | None:
    """A gate before this sentinel; None where the sentinel alone will do, or must.

    It must where descriptors are scarce, and where there is no thread any more since the
    interpreter ends.
    """
    if not _needed:
        return None
    private.undo(_forget)
    with _lock, suppress(OSError, RuntimeError):
        gate = private.keep(_eventfd())
        try:
            _leave_some(gate)
            _have_guarded()
        except BaseException:
            private.close(gate)
            raise
        _gates[sentinel] = gate
        _ring()
        return gate
    return None


def close(sentinel: int, gate: int) -> None:
    """Give up a gate."""
    with _lock:
        # The number may have become that of another process's sentinel.
        if _gates.get(sentinel) == gate:
            del _gates[sentinel]
            _ring()
        private.close(gate)


def _eventfd() -> int:
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def _leave_some(fd: int) -> None:
    """OSError if descriptors are scarce: the last quarter is for those who cannot do without."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and fd >= most * 3 // 4:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def _ring() -> None:
    if _bell is not None:
        os.eventfd_write(_bell, 1)


def _have_guarded() -> None:
    global _bell
    if _bell is None:
        _bell = private.keep(_eventfd())
        try:
            threading.Thread(target=_guard, args=(_bell,), name="ProcessionGates", daemon=True).start()
        except BaseException:
            private.close(_bell)
            _bell = None
            raise


def _guard(bell: int) -> None:
    global _bell
    while True:
        with _lock:
            if not _gates:
                _bell = None
                private.close(bell)
                return
            sentinels = list(_gates)
        ready = pidfd.readable([bell, *sentinels], None)
        if bell in ready:
            os.eventfd_read(bell)
        _open([sentinel for sentinel in ready if sentinel != bell])


def _open(ended: list[int]) -> None:
    with _lock:
        descriptors = list(_descriptors) if ended else []
    for descriptor in descriptors:
        descriptor.update()
    with _lock:
        # Asked again: the number may have become that of a process that runs.
        for sentinel in pidfd.readable([sentinel for sentinel in ended if sentinel in _gates], 0):
            os.eventfd_write(_gates.pop(sentinel), 1)


def _forget() -> None:
    """In a forked child: thread, gates and descriptors are the parent's."""
    global _lock, _bell
    _lock, _bell = threading.RLock(), None
    _gates.clear()
    _descriptors.clear()
