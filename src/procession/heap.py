"""Plain shared memory: what the stdlib keeps in arenas is here a block of the family's heap.

Used by :mod:`procession.sharedctypes`, by barriers, and by programs that want raw bytes.
"""

from __future__ import annotations

import sys
from multiprocessing import heap as _std
from typing import Any, Self

from . import _family
from ._alias import mirror

__all__ = ["BufferWrapper"]


class Keeping:
    """Mixed into a shared native class, makes the attributes of its instances travel with it."""

    def __getstate__(self) -> tuple[Any, ...]:
        return (vars(self).copy(),)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        vars(self).update(state[0])

    def _export_state(self) -> Any:
        return self.__getstate__()

    def _import_state(self, state: Any) -> None:
        self.__setstate__(state)


class BufferWrapper(Keeping, _family.Block, _std.BufferWrapper):
    """`size` bytes of zeroes that every process which holds this object sees.

    It can be pickled at any time.  ValueError for a negative size, OverflowError for one past
    ``sys.maxsize``, MemoryError where the system refuses the pages.
    """

    def __new__(cls, size: int, *args: Any, **kwargs: Any) -> Self:
        """A new block; the arguments of a subclass's ``__init__`` may follow."""
        if size < 0:
            raise ValueError(f"Size {size} out of range")
        if size >= sys.maxsize:
            raise OverflowError(f"Size {size} too large")
        return _family.Block.__new__(cls, size)

    def __init__(self, size: int) -> None:
        """Nothing is left to do after ``__new__``, and the stdlib's must not run."""

    def create_memoryview(self) -> memoryview:
        """The bytes, writable; the memory stays as long as any view of it."""
        return memoryview(self)


mirror(__name__, _std)
