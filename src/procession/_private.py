"""What belongs to this process alone, and is not for a child forked from it.

Descriptors: a child inherits every one.  Those listed here are closed in it at once: an end of a pipe
that two processes hold tells neither of the other's death, and sixty children must not hold sixty
descriptors each of their siblings.

States: threads, locks which another thread may hold at the moment of a fork, and the like.  A module
that comes to hold such a thing says how to forget it.  So a child pays for what its parent has used,
and not for all that it has imported: each function that runs first thing in a child costs it some
page faults, of which a start mostly consists.
"""

import os
from collections.abc import Callable

_listed: set[int] = set()
_forgetting: dict[Callable[[], None], None] = {}


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


def undo(forget: Callable[[], None]) -> None:
    """Have `forget` called in the next forked child, once; to be said before there is what it forgets.

    For a child of that child it has to be said there again.  It is called when the listed descriptors
    are closed.
    """
    _forgetting[forget] = None


def _begin() -> None:
    for fd in _listed:
        try:  # noqa: SIM105 - nothing that runs here is more than it must be
            os.close(fd)
        except OSError:
            pass
    _listed.clear()
    todo = list(_forgetting)
    _forgetting.clear()
    for forget in todo:
        forget()


os.register_at_fork(after_in_child=_begin)
