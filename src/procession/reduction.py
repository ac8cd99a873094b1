"""Objects to bytes and back, and handles (descriptors) from process to process.

`dumps`, `loads` and `travels` are what queues, pools, process arguments and connections use.
All else here is the stdlib's: ForkingPickler stays as strict as it is there, since programs ask
it what can travel, and the reducers registered with it, at any time, are honoured by `dumps`.
"""

from __future__ import annotations

import copyreg
import pickle
import types
from collections.abc import Callable
from multiprocessing import reduction as _std
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import *  # noqa: F403
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from . import _alias, _origin
from ._duplicates import give_back
from ._handlers import raised_by_handler
from ._main import MAIN_NAMES, importable_main
from .errors import TransferAttributeError, TransferError, TransferRecursionError, TransferTypeError

if TYPE_CHECKING:
    from ._buffers import Draft

__all__ = ["draft", "dumps", "loads", "parts", "travels"]
__all__ += _std.__all__

_PROTOCOL = pickle.HIGHEST_PROTOCOL

# Pickled by C alone, whatever is registered for them.
_SCALARS = frozenset({int, float, bool, str, bytes, type(None)})

# What plain pickle raises for what it cannot do; user code may raise the same, and is asked twice.
_REFUSALS = (TypeError, AttributeError, pickle.PicklingError)

# Not about the value: the wrong moment or method, the system's limits.
_AS_RAISED = (RuntimeError, OSError, MemoryError, TransferError)

_Table = dict[type, Callable[[Any], Any]]

# Memory that an idle pickler may keep, in bytes of the message that made it grow; what is larger
# pickle writes by itself.
_LARGE = 1 << 16

# How a pickle begins, and each frame in it.
_BEGINNINGS = (pickle.PROTO, pickle.FRAME)

# What becomes of large buffers; but for the first, by the name of what sees to it in `_buffers`.
_IN_BAND, _FOR_ONE, _FOR_ANY, _LATER = "", "wrapped", "shared", "Draft"

loads = pickle.loads

_family: Any = None


def dumps(obj: object, carry: list[Any] | None = None, *, label: str = "", in_band: bool = False) -> bytes:
    """Pickle `obj` for another process of the program.

    Plain pickle is tried first.  What it refuses, and what of ``__main__`` the receiver cannot
    import, goes by value: see :mod:`procession._pickling`.  Any interpreter of the same version
    with procession can `loads` the result, by plain ``pickle.loads`` too.

    `carry`: what must live until the receiver has loaded it is appended to this list: shared
    objects (locks, events, blocks ...) met on the way and, unless `in_band`, large buffers, which
    one receiver can load, and once: see :mod:`procession._buffers`.
    `label`: what to call `obj` in the path that an error names, as in ``args[0].rows``.

    Raises TransferError, from the original error, if a part of `obj` cannot be pickled or its
    own ``__reduce__`` or ``__getstate__`` failed; one that is also a TypeError, AttributeError or
    RecursionError if the original was.  Other RuntimeErrors (stdlib objects that must be
    inherited raise them), OSError and MemoryError come as they are, with a note of the path; so
    do KeyboardInterrupt and SystemExit, and whatever a signal handler raises meanwhile.
    """
    kind = type(obj)
    if kind in _SCALARS or (kind is tuple and len(obj) < 9 and _SCALARS.issuperset(map(type, obj))):  # type: ignore[arg-type, call-overload]
        return pickle.dumps(obj, _PROTOCOL)
    made = _pickled(obj, carry, label, _IN_BAND if in_band else _FOR_ONE)
    return b"".join(made) if type(made) is _Sink else made  # type: ignore[return-value]


def parts(obj: object, carry: list[Any], *, label: str = "", shared: bool = False) -> bytes | list[Any]:
    """As `dumps`; a large pickle in the parts in which it was made, for who copies it anyway.

    `shared`: any number of receivers may load it, each of which has the large buffers for itself.
    """
    kind = type(obj)
    if kind in _SCALARS and (kind is not bytes or len(obj) < _LARGE):  # type: ignore[arg-type]
        return pickle.dumps(obj, _PROTOCOL)
    made = _pickled(obj, carry, label, _FOR_ANY if shared else _FOR_ONE)
    return list(made) if type(made) is _Sink else made  # type: ignore[return-value]


def draft(obj: object, carry: list[Any], *, label: str = "") -> bytes | Draft:
    """As `dumps`, but large buffers are not copied before the draft is sealed.

    Who lets go of `obj` in between spares the copy where a buffer was received and nobody else has it.
    """
    made = _pickled(obj, carry, label, _LATER)
    return b"".join(made) if type(made) is _Sink else made  # type: ignore[return-value]


def _pickled(obj: object, carry: list[Any] | None, label: str, way: str) -> bytes | _Sink | Draft:
    if issubclass(type(obj), BaseProcess):
        _origin.admit_stranger()  # fork pickles no process
    if carry is None:
        return _dumps(obj, [], label, _IN_BAND)
    global _family
    if _family is None:  # asked here, since an import that does nothing costs as much as a small pickle
        from . import _family
    with _family.carrying(carry):
        return _dumps(obj, carry, label, way)


def travels(obj: object, carry: list[Any] | None = None, *, label: str = "") -> bytes:
    """`dumps`, proven: `obj` is rebuilt here once, and TransferError raised if that fails."""
    proof = dumps(obj, label=label)
    try:
        loads(proof)
    except Exception as error:
        text = f"{label or type(obj).__qualname__}: it is pickled, but cannot be rebuilt: {_say(error)}"
        raise _kind(error)(text) from error
    # Not the proof again: a descriptor in it is handed over once, and that was here.
    return dumps(obj, carry, label=label)


# ---- the plain way -------------------------------------------------------------------------


class _Sink(list[Any]):
    """A file that keeps what is written, so that a large buffer is copied only by the join."""

    __slots__ = ()
    write = list.append

    def taken(self) -> bytes | _Sink:
        """What was written: one string or, of 64 KiB or more, its parts.  Nothing is left here."""
        if len(self) == 1:
            data: bytes | _Sink = self[0]
        else:
            # Memory of another layout is written as the buffer that it was offered as.
            data = _Sink(part.raw() if type(part) is pickle.PickleBuffer else part for part in self)
        self.clear()
        return data

    def mentions_main(self) -> bool:
        if len(self) == 1:
            return b"_main__" in self[0]
        # Names are in the frames; large buffers are written by themselves, and a search takes longer
        # than copying them.
        return any(type(part) is bytes and part[:1] in _BEGINNINGS and b"_main__" in part for part in self)


class _Buffers:
    """The large buffers that a pickler meets, where they may go apart from the stream."""

    __slots__ = ("apart", "way")

    def __init__(self, way: str = _IN_BAND) -> None:
        self.way = way
        self.apart: list[pickle.PickleBuffer] = []

    def meet(self, buffer: pickle.PickleBuffer) -> bool:
        """A pickler's `buffer_callback`: shall the buffer go in the stream?"""
        if self.way == _IN_BAND:
            return True
        from ._buffers import goes_apart

        apart = goes_apart(buffer)
        if apart:
            self.apart.append(buffer)
        return not apart

    def finish(self, made: bytes | _Sink) -> bytes | _Sink | Draft:
        """The pickle, with the handles of its buffers."""
        if not self.apart:
            return made
        from . import _buffers

        apart, self.apart = self.apart, []
        data = b"".join(made) if type(made) is _Sink else made
        return getattr(_buffers, self.way)(data, apart)  # type: ignore[no-any-return]


class _Plain(pickle.Pickler):
    """The C pickler with a table of reducers, writing to a sink of its own."""

    def __init__(self, table: _Table) -> None:
        self.dispatch_table = table
        self.sink = _Sink()
        # Not this object itself, which a bound method of it would keep alive until the collector comes.
        self.buffers = _Buffers()
        super().__init__(self.sink, _PROTOCOL, buffer_callback=self.buffers.meet)


class _Desk(NamedTuple):
    """The reducers of a time, and idle picklers that know them.

    To make a pickler costs as much as to pickle a small object, so they are used again.
    """

    extra: _Table
    common: _Table
    table: _Table
    idle: list[_Plain]


_desk = _Desk({}, {}, {}, [])


def _current_desk() -> _Desk:
    global _desk
    extra, common = _std.ForkingPickler._extra_reducers, copyreg.dispatch_table  # type: ignore[attr-defined]
    if extra != _desk.extra or common != _desk.common:
        table = {**common, **extra}
        if table.get(types.MethodType) is _std._reduce_method:  # type: ignore[attr-defined]
            table[types.MethodType] = _reduce_method
        _desk = _Desk(dict(extra), dict(common), table, [])
    return _desk


def _reduce_method(method: types.MethodType) -> tuple[Any, ...]:
    """By the name that finds it: a private method is kept under another than it was written with."""
    name = getattr(method.__func__, "__name__", "")
    owner = method.__self__
    kinds = owner.__mro__ if isinstance(owner, type) else type(owner).__mro__
    for attribute in (name, *(f"_{kind.__name__.lstrip('_')}{name}" for kind in kinds)):
        if getattr(owner, attribute, None) == method:
            return getattr, (owner, attribute)
    return types.MethodType, (method.__func__, owner)


def _dumps(obj: object, carry: list[Any], label: str, way: str) -> bytes | _Sink | Draft:
    desk, carried = _current_desk(), len(carry)
    try:
        pickler = desk.idle.pop()
    except IndexError:
        pickler = _Plain(desk.table)
    buffers = pickler.buffers
    buffers.way = way
    done = False
    try:
        pickler.dump(obj)
        sink = pickler.sink
        if not sink.mentions_main() or not _is_about_main(pickler):
            data = sink.taken()
            made = buffers.finish(data)
            done = True
            if type(data) is not _Sink and len(data) < _LARGE:
                pickler.clear_memo()
                desk.idle.append(pickler)
            return made
    except _REFUSALS as error:
        if raised_by_handler(error):
            raise
    except Exception as error:  # noqa: BLE001 - raised again
        _fail(obj, error, desk.table, label)
    finally:
        if not done:
            give_back(pickler)
    del carry[carried:]
    return _dumps_by_value(obj, desk.table, label, way)


def _is_about_main(pickler: pickle.Pickler) -> bool:
    """Whether something of main went by name that the receiver may not have."""
    mentioned = False
    for _, thing in pickler.memo.copy().values():
        if issubclass(type(thing), (type, types.FunctionType)) and thing.__module__ in MAIN_NAMES:
            if not _origin.goes_by_name(thing):
                return True
            mentioned = True
    # Else it is a thing that pickles itself by its name, such as a cached function, or some text.
    return not (mentioned or importable_main())


# ---- the other way -------------------------------------------------------------------------


def _dumps_by_value(obj: object, table: _Table, label: str, way: str) -> bytes | _Sink | Draft:
    from ._pickling import Pickler

    sink, buffers = _Sink(), _Buffers(way)
    pickler = Pickler(sink, table, buffers.meet)
    done = False
    try:
        pickler.dump(obj)
        made = buffers.finish(sink.taken())
        done = True
    except Exception as error:  # noqa: BLE001 - raised again
        _fail(obj, error, table, label)
    finally:
        if not done:
            give_back(pickler)
    return made


def _fail(obj: object, error: Exception, table: _Table, label: str) -> NoReturn:
    if raised_by_handler(error):
        raise error
    path = label
    if not isinstance(error, (RecursionError, OSError, MemoryError)):
        # Of one nested too deeply the way would be as long as it is deep.
        from ._blame import find_culprit

        path = (label + find_culprit(obj, table)).removeprefix(".")
    if isinstance(error, _AS_RAISED) and not isinstance(error, RecursionError):
        if path:
            error.add_note(f"This was raised when {path} was pickled.")
        raise error
    raise _kind(error)(f"{path}: {_say(error)}" if path else _say(error), path=path) from error


def _kind(error: Exception) -> type[TransferError]:
    for base, kind in _KINDS:
        if isinstance(error, base):
            return kind
    return TransferError


_KINDS: list[tuple[type[Exception], type[TransferError]]] = [
    (TypeError, TransferTypeError),
    (AttributeError, TransferAttributeError),
    (RecursionError, TransferRecursionError),
]


def _say(error: Exception) -> str:
    """Pickle's own words as they are; with its name the error of somebody else's code."""
    text = str(error)
    return text if text and isinstance(error, _REFUSALS) else f"{type(error).__qualname__}: {text}"


_alias.mirror(__name__, _std)
