"""Descriptors that belong to this process alone.

A child made by fork inherits every descriptor.  Those listed here are closed in it at once: an end
of a pipe that two processes hold tells neither of the other's death, and sixty children must not
hold sixty descriptors each of their siblings.
"""

import os
from collections.abc import Callable
from contextlib import suppress

_listed: set[int] = set()


def keep(fd: int) -> int:
    """List `fd`, which must be closed by :func:`close` alone; gives it back."""
    _listed.add(fd)
    return fd


def close(fd: int, _listed: set[int] = _listed, _close: Callable[[int], None] = os.close) -> None:
    """Close a listed descriptor."""
    # By arguments, since finalizers call this when the globals of modules are gone.
    # Out of the list first: a fork between the two lines leaves a child one descriptor too many,
    # the other order would let it close a stranger's.
    _listed.discard(fd)
    _close(fd)


def _close_all() -> None:
    while _listed:
        with suppress(OSError):
            os.close(_listed.pop())


os.register_at_fork(after_in_child=_close_all)
