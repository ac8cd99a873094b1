"""The stdlib's: one tracker watches over the named objects of both packages.

But for `unregister`, which takes names that were never registered too: programs call it after they
have attached to a block of memory, which our SharedMemory does not register then.
"""

from multiprocessing import resource_tracker as _std
from typing import TYPE_CHECKING

from . import _alias

if TYPE_CHECKING:
    from multiprocessing.resource_tracker import *  # noqa: F403

__all__ = ["unregister"]
__all__ += _std.__all__


def unregister(name: str, rtype: str) -> None:  # type: ignore[no-redef]
    """Have the tracker forget a name; nothing happens if it does not know it."""
    # The tracker complains of a name that it does not have, and takes one twice.
    _std.register(name, rtype)
    _std.unregister(name, rtype)


_alias.mirror(__name__, _std)
