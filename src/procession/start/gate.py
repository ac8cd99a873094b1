"""A sentinel that does not overtake what its process has put into queues.

Who waits for a queue's descriptor and for the end of the process that puts into it, as an executor
does, takes a process that has ended without a message for one that died.  But the kernel tells of
the end at once, and of the message a thread does, a moment later.  So where somebody may wait for a
queue's descriptor, a process is seen to end through a gate: a descriptor which is set when the
process has ended and every queue's descriptor is true.

Used by :mod:`procession.start.watch`; queues say when gates are needed.
"""

import os
import threading
from typing import Protocol
from weakref import WeakSet

from . import pidfd, private


class Descriptor(Protocol):
    """Follows a queue."""

    def update(self) -> None:
        """Make the descriptor say what is true now."""


_needed = False
_lock = threading.Lock()
_descriptors: WeakSet[Descriptor] = WeakSet()


def need() -> None:
    """Somebody has got hold of a queue's reading end: from now on gates are needed."""
    global _needed
    _needed = True


def note(descriptor: Descriptor) -> None:
    """Gates wait for this one, too."""
    need()
    with _lock:
        _descriptors.add(descriptor)


def before(sentinel: int) -> int | None:
    """A gate before this sentinel, to be closed as a private descriptor; None if none is needed."""
    if not _needed:
        return None
    gate = private.keep(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
    # Copies for the thread: whoever has the gate may close it at any moment.
    copies = private.keep(os.dup(sentinel)), private.keep(os.dup(gate))
    thread = threading.Thread(target=_guard, args=copies, name="ProcessionGate", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        # No threads any more, while the interpreter ends: the sentinel alone must do.
        for fd in (gate, *copies):
            private.close(fd)
        return None
    return gate


def _guard(sentinel: int, gate: int) -> None:
    pidfd.readable([sentinel], None)
    with _lock:
        descriptors = list(_descriptors)
    for descriptor in descriptors:
        descriptor.update()
    os.eventfd_write(gate, 1)
    private.close(sentinel)
    private.close(gate)


def _forget() -> None:
    """In a forked child: threads and descriptors are the parent's."""
    global _lock
    _lock = threading.Lock()
    _descriptors.clear()


os.register_at_fork(after_in_child=_forget)
