"""ctypes objects in shared memory: Value, Array, and both without a lock.

An object made here can be pickled at any time, whichever package made or registered another
object of the same ctypes type.  Used by contexts and programs.
"""

from __future__ import annotations

import ctypes
import weakref
from multiprocessing import sharedctypes as _std
from multiprocessing.context import assert_spawning
from multiprocessing.reduction import ForkingPickler
from typing import Any

from ._alias import mirror
from ._family import Guard, Guarded
from .heap import BufferWrapper
from .synchronize import RLock

_private: Any = _std
"""The stdlib's module with the names that its stubs leave out."""

__all__ = ["Array", "RawArray", "RawValue", "Value", "copy", "synchronized"]


# ---- making ---------------------------------------------------------------------------------


def RawValue(typecode_or_type: Any, *args: Any) -> Any:
    """A ctypes object in shared memory, initialised with `args` (else zero); it has no lock.

    `typecode_or_type`: a ctypes type, or one of the letters c u b B h H i I l L q Q f d as in
    :mod:`array`.  TypeError for anything else.
    """
    value = _new(_type_of(typecode_or_type))
    value.__init__(*args)
    return value


def RawArray(typecode_or_type: Any, size_or_initializer: Any) -> Any:
    """A ctypes array in shared memory, of so many zeroes or of these values; it has no lock.

    `typecode_or_type` is as for :func:`RawValue`.  ValueError for a negative size, MemoryError where
    the system refuses the pages.
    """
    element = _type_of(typecode_or_type)
    if isinstance(size_or_initializer, int):
        return _new(element * size_or_initializer)
    array = _new(element * len(size_or_initializer))
    array.__init__(*size_or_initializer)
    return array


def Value(typecode_or_type: Any, *args: Any, lock: Any = True, ctx: Any = None) -> Any:
    """As RawValue, in a wrapper whose ``value`` is read and written under a lock.

    `lock`: True or None for a new RLock, False for none (that is RawValue), or a lock to use;
    AttributeError if it cannot be acquired.
    """
    return _guarded(RawValue(typecode_or_type, *args), lock, ctx)


def Array(typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True, ctx: Any = None) -> Any:
    """As RawArray, in a wrapper whose items and slices are read and written under a lock.

    `lock` is as for :func:`Value`.
    """
    return _guarded(RawArray(typecode_or_type, size_or_initializer), lock, ctx)


def copy(obj: Any) -> Any:
    """A copy of a ctypes object, in shared memory of its own."""
    new = _new(type(obj))
    ctypes.pointer(new)[0] = obj
    return new


def synchronized(obj: Any, lock: Any = None, ctx: Any = None) -> Any:
    """A wrapper of a ctypes object, with a lock, a new RLock by default."""
    assert not isinstance(obj, _std.SynchronizedBase), "object already synchronized"
    return _wrapper_of(obj)(obj, lock, ctx)


def _type_of(typecode_or_type: Any) -> Any:
    found = _private.typecode_to_type.get(typecode_or_type, typecode_or_type)
    try:
        ctypes.sizeof(found)
    except TypeError:
        found = None
    if not isinstance(found, type):  # an instance has a size too
        letters = " ".join(_private.typecode_to_type)
        raise TypeError(f"{typecode_or_type!r} is neither a ctypes type nor one of the type codes {letters}")
    return found


def _new(type_: Any) -> Any:
    return rebuild_ctype(type_, BufferWrapper(ctypes.sizeof(type_)), None)


def _guarded(obj: Any, lock: Any, ctx: Any) -> Any:
    if lock is False:
        return obj
    if lock is True:
        lock = None
    if lock is not None and not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire'")
    return synchronized(obj, lock, ctx)


# ---- pickling -------------------------------------------------------------------------------


def reduce_ctype(obj: Any) -> tuple[Any, ...]:
    """How a ctypes object in shared memory is pickled; the stdlib's own only while a child starts."""
    rebuild: Any = rebuild_ctype
    if not isinstance(obj._wrapper, BufferWrapper):
        assert_spawning(obj)
        rebuild = _private.rebuild_ctype
    wrapper = obj._wrapper
    if isinstance(obj, ctypes.Array):
        return rebuild, (obj._type_, wrapper, obj._length_)
    return rebuild, (type(obj), wrapper, None)


def rebuild_ctype(type_: Any, wrapper: BufferWrapper, length: int | None) -> Any:
    """The object of this type (or array of `length` such) that lies in the wrapper's memory."""
    if length is not None:
        type_ *= length
    ForkingPickler.register(type_, reduce_ctype)
    obj = type_.from_buffer(wrapper.create_memoryview())
    obj._wrapper = wrapper
    return obj


def _register_for_both() -> None:
    """Make the stdlib register our reducer, which knows the objects of both.

    Reducers are found by type alone, and c_int is c_int in either package: whoever registered
    last would pickle the other's objects, and the stdlib refuses unless a child is being started.
    """
    theirs = _private.reduce_ctype
    for type_, reducer in list(vars(ForkingPickler)["_extra_reducers"].items()):
        if reducer is theirs:
            ForkingPickler.register(type_, reduce_ctype)
    _private.reduce_ctype = reduce_ctype


# ---- wrappers -------------------------------------------------------------------------------


class SynchronizedBase(Guard, _std.SynchronizedBase):  # type: ignore[type-arg]  # not to be subscripted when run
    """A ctypes object and the lock that guards it; the with statement holds the lock."""

    def __init__(self, obj: Any, lock: Any = None, ctx: Any = None) -> None:
        super().__init__(obj, lock or RLock(ctx=ctx), ctx)

    def __reduce__(self) -> tuple[Any, ...]:
        # A structure's wrapper class was made for it and cannot be found by name.
        kind = None if type(self) in class_cache.values() else type(self)
        return _rewrap, (kind, self.get_obj(), self.get_lock()), vars(self) or None


class Synchronized(SynchronizedBase, _std.Synchronized):  # type: ignore[type-arg]
    """A wrapper of one number; its ``value`` is read and written under the lock."""

    value: Any = Guarded("value")


class SynchronizedArray(SynchronizedBase, _std.SynchronizedArray):  # type: ignore[type-arg]
    """A wrapper of an array; its items and slices are read and written under the lock."""


class SynchronizedString(SynchronizedArray, _std.SynchronizedString):
    """A wrapper of an array of c_char, with ``value`` (up to the first zero) and ``raw``."""

    value: Any = Guarded("value")
    raw: Any = Guarded("raw")


class_cache: weakref.WeakKeyDictionary[type, type[SynchronizedBase]] = weakref.WeakKeyDictionary()


def _wrapper_of(obj: Any) -> type[SynchronizedBase]:
    if isinstance(obj, ctypes._SimpleCData):
        return Synchronized
    if isinstance(obj, ctypes.Array):
        return SynchronizedString if obj._type_ is ctypes.c_char else SynchronizedArray
    made = class_cache.get(type(obj))
    if made is None:
        properties = {field[0]: Guarded(field[0]) for field in obj._fields_}
        made = type("Synchronized" + type(obj).__name__, (SynchronizedBase,), properties)
        class_cache[type(obj)] = made
    return made


def _rewrap(kind: type[SynchronizedBase] | None, obj: Any, lock: Any) -> SynchronizedBase:
    kind = kind or _wrapper_of(obj)
    wrapper = kind.__new__(kind)
    SynchronizedBase.__init__(wrapper, obj, lock)
    return wrapper


_register_for_both()


mirror(__name__, _std)
