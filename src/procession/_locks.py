"""The locks, the semaphores and the event, which are native objects.

Public as :mod:`procession.synchronize`.
"""

from __future__ import annotations

from multiprocessing import synchronize as _std
from typing import Any, Self

from . import _family
from ._family import RECURSIVE_MUTEX, SEM_VALUE_MAX, SEMAPHORE
from .heap import Keeping


class SemLock(Keeping, _family.SemLock, _std.SemLock):
    """What locks and semaphores have in common.  `ctx` is accepted for the stdlib's sake.

    Subclasses may take any arguments in ``__init__``; ``__new__`` decides what is made.
    """

    def __new__(cls, kind: int, value: int, maxvalue: int, *args: Any, **kwargs: Any) -> Self:
        return _family.SemLock.__new__(cls, kind, value, maxvalue)

    def __init__(self, kind: int, value: int, maxvalue: int, *, ctx: Any = None) -> None:
        """Nothing is left to do after ``__new__``, and the stdlib's must not run."""

    @property
    def _semlock(self) -> Self:
        """The stdlib's objects keep the native part here; ours are it."""
        return self

    def locked(self) -> bool:
        """Would ``acquire`` have to wait?  (The stdlib has it from 3.14.)"""
        return self._is_zero()


class Lock(SemLock, _std.Lock):
    """Taken by one thread of one process at a time; anybody may release it.

    ``acquire(block=True, timeout=None)`` gives whether it was taken; `timeout` is in seconds.
    ValueError from ``release`` when nobody holds it.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """A free lock; the arguments are ``__init__``'s."""
        return _family.SemLock.__new__(cls, SEMAPHORE, 1, 1, owned=True)

    def __init__(self, *, ctx: Any = None) -> None:
        pass


class RLock(SemLock, _std.RLock):
    """A lock that its holder, one thread of one process, may take again.

    AssertionError from ``release`` when another holds it, or nobody.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """A free lock; the arguments are ``__init__``'s."""
        return _family.SemLock.__new__(cls, RECURSIVE_MUTEX, 1, 1)

    def __init__(self, *, ctx: Any = None) -> None:
        pass


class Semaphore(SemLock, _std.Semaphore):
    """A number that ``acquire`` takes from and ``release`` adds to; at 0 ``acquire`` waits.

    ValueError if `value` is negative.
    """

    def __new__(cls, value: int = 1, *args: Any, **kwargs: Any) -> Self:
        """A semaphore with this value; further arguments are ``__init__``'s."""
        return _family.SemLock.__new__(cls, SEMAPHORE, value, SEM_VALUE_MAX)

    def __init__(self, value: int = 1, *, ctx: Any = None) -> None:
        if value != self._get_value():
            raise TypeError(
                f"{type(self).__qualname__} was made with the value {self._get_value()}, not {value}:"
                " a subclass with other arguments must override __new__ as well as __init__"
            )


class BoundedSemaphore(Semaphore, _std.BoundedSemaphore):
    """A semaphore whose ``release`` raises ValueError where it would pass the first value."""

    def __new__(cls, value: int = 1, *args: Any, **kwargs: Any) -> Self:
        """A semaphore that begins at its most; further arguments are ``__init__``'s."""
        return _family.SemLock.__new__(cls, SEMAPHORE, value, value)


class Event(Keeping, _family.EventWord, _std.Event):
    """A flag to wait for; ``set`` followed at once by ``clear`` still wakes all who waited."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """A flag that is not set; the arguments are ``__init__``'s."""
        return _family.EventWord.__new__(cls)

    def __init__(self, *, ctx: Any = None) -> None:
        pass
