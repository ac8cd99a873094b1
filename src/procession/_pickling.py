"""The pickler for what plain pickle refuses, and for what of ``__main__`` has to go by value.

A cloudpickle.Pickler that differs in three points.  Functions and classes of main go by name
where the receiver has them.  Functions that go by value are rebuilt on the receiver's own main,
or on the module they are from, never on a private copy of their globals.  A class sent by value
is made and filled once a process, not again by every message.

Imported by :mod:`procession.reduction` when first needed, since importing cloudpickle is slow.
"""

from __future__ import annotations

import contextlib
import functools
import io
import marshal
import pickle
import sys
import types
import typing
import weakref
from collections.abc import Callable
from typing import Any

import cloudpickle
from cloudpickle.cloudpickle import _dynamic_class_reduce, _should_pickle_by_reference

from . import _code, _origin, _rebuild
from ._main import MAIN_NAMES

Reduced = Any  # what __reduce_ex__ gives: a tuple, or a name
Table = dict[type, Callable[[Any], Reduced]]

_NEVER_SENT = frozenset({"__name__", "__builtins__", "__spec__", "__loader__"})


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Writes to `file`, honouring the reducers of `table` before cloudpickle's.

    `meet` is asked of each buffer whether it shall go in the stream.
    """

    def __init__(
        self, file: Any, table: Table, meet: Callable[[pickle.PickleBuffer], bool] | None = None
    ) -> None:
        # First: the C pickler looks for it when it is initialised, and no more.
        self.dispatch_table = {**cloudpickle.Pickler.dispatch_table.maps[0], **_REDUCERS, **table}
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL, buffer_callback=meet)
        self._hulls: dict[int, _Hull] = {}
        _origin.forget_unbound()

    def reducer_override(self, obj: Any) -> Reduced:
        """How a function or class goes; NotImplemented leaves all else to the table."""
        if type(obj) is types.FunctionType:
            return self._reduce_function(obj)
        if issubclass(type(obj), type):
            return self._reduce_class(obj)
        return NotImplemented

    def _reduce_class(self, cls: type) -> Reduced:
        of_main = cls.__module__ in MAIN_NAMES
        if of_main and _origin.goes_by_name(cls):
            return NotImplemented
        reduced = _dynamic_class_reduce(cls) if of_main else super().reducer_override(cls)
        if reduced is NotImplemented or len(reduced) < 6:
            return reduced
        maker, arguments, body, _, _, setter = reduced
        mark = _origin.mark_of(cls)
        binding = (cls.__name__, _origin.stamp(cls.__name__, cls)) if _is_bound(cls) else None
        state = (mark, setter, body, binding)
        return _rebuild.definition, (mark, maker, arguments), state, None, None, _rebuild.fill_definition

    def _reduce_function(self, function: types.FunctionType) -> Reduced:
        if function.__globals__ is vars(_rebuild):
            return NotImplemented  # one of these comes with every function and class
        of_main = function.__module__ in MAIN_NAMES
        if _origin.goes_by_name(function) if of_main else _should_pickle_by_reference(function):
            return NotImplemented
        home = _home(function)
        if home is None:
            return self._dynamic_function_reduce(function)
        mark = _origin.mark_of(function) if _is_bound(function) else None
        hulls = [self._hull(cell) for cell in function.__closure__ or ()]
        arguments = (mark, function.__code__, home, tuple(hulls) or None)
        state = (mark, _attributes(function), [hull.content() for hull in hulls], *_needs(function, home))
        return _rebuild.function, arguments, state, None, None, _rebuild.fill_function

    def _hull(self, cell: types.CellType) -> _Hull:
        return self._hulls.setdefault(id(cell), _Hull(cell))


class _Hull:
    """Stands for a closure's cell, and is pickled as an empty one.

    One a cell, so that functions which share a cell share it on the other side.  What is in it
    goes in the state of the function, when everything that may refer to the function exists.
    """

    def __init__(self, cell: types.CellType) -> None:
        self._cell = cell

    def __reduce__(self) -> Reduced:
        return _rebuild.empty_cell, ()

    def content(self) -> tuple[Any, ...]:
        """The hull alone if its cell is empty, else with what is in it."""
        try:
            return self, self._cell.cell_contents
        except ValueError:
            return (self,)


def _home(function: types.FunctionType) -> str | None:
    """The module whose namespace the receiver has too, None if there is none."""
    name = function.__globals__.get("__name__")
    if name in MAIN_NAMES:
        return "__main__"
    module = sys.modules.get(name) if isinstance(name, str) else None
    if module is None or vars(module) is not function.__globals__ or not getattr(module, "__spec__", None):
        return None
    return name if _should_pickle_by_reference(module) else None


def _is_bound(thing: Any) -> bool:
    """Whether main has `thing` under its own name, so that it is a definition and not a value."""
    if thing.__module__ not in MAIN_NAMES or thing.__qualname__ != thing.__name__:
        return False
    spaces = (vars(sys.modules["__main__"]), getattr(thing, "__globals__", {}))
    return any(space.get(thing.__name__) is thing for space in spaces)


def _attributes(function: types.FunctionType) -> dict[str, Any]:
    names = ("__name__", "__qualname__", "__module__", "__doc__", "__defaults__", "__kwdefaults__")
    attributes = {name: getattr(function, name) for name in names}
    attributes["__dict__"] = dict(vars(function))
    with contextlib.suppress(NameError):  # since Python 3.14 they are evaluated when asked for
        attributes["__annotations__"] = function.__annotations__
    return attributes


def _needs(function: types.FunctionType, home: str) -> tuple[_rebuild.Bindings, list[str]]:
    """The globals of main that the function uses, and the submodules it reaches."""
    space = function.__globals__
    names = _code.names_in(function.__code__)
    used = {name: space[name] for name in names.globals if name in space and name not in _NEVER_SENT}
    enclosed = [content for cell in function.__closure__ or () for content in _Hull(cell).content()[1:]]
    submodules = _code.submodules_for(names, [*used.values(), *enclosed])
    if home != "__main__":
        return {}, submodules
    if _is_bound(function):
        used[function.__name__] = function
    if space.get("__package__"):
        used["__package__"] = space["__package__"]
    return {name: (_origin.stamp(name, value), value) for name, value in used.items()}, submodules


# ---- reducers that cloudpickle lacks, or has otherwise -------------------------------------


def _reduce_code(code: types.CodeType) -> Reduced:
    try:
        return marshal.loads, (marshal.dumps(code),)
    except ValueError:  # a constant that no compiler makes
        return cloudpickle.Pickler.dispatch_table[types.CodeType](code)


def _reduce_text_file(file: io.TextIOWrapper) -> Reduced:
    for name in ("stdout", "stderr"):
        if file is getattr(sys, name):
            return getattr, (sys, name)
    # cloudpickle would send a copy of what is in the file, which is no file any more.
    raise TypeError(f"cannot pickle {type(file).__qualname__!r} object")


def _reduce_cached_property(found: functools.cached_property[Any]) -> Reduced:
    return functools.cached_property, (found.func,), {"attrname": found.attrname, "__doc__": found.__doc__}


def _by_name_or(rebuild: Callable[[Any], Reduced]) -> Callable[[Any], Reduced]:
    """For what pickles itself by its name alone, which a receiver may lack."""

    def reduce(thing: Any) -> Reduced:
        by_name = _origin.goes_by_name if thing.__module__ in MAIN_NAMES else _found_by_name
        return thing.__reduce__() if by_name(thing) else rebuild(thing)

    return reduce


def _found_by_name(thing: Any) -> bool:
    found: Any = sys.modules.get(thing.__module__)
    for name in getattr(thing, "__qualname__", thing.__name__).split("."):
        found = getattr(found, name, None)
    return found is thing


_REDUCERS: Table = {
    types.CodeType: _reduce_code,
    io.TextIOWrapper: _reduce_text_file,
    functools.cached_property: _reduce_cached_property,
    functools._lru_cache_wrapper: _by_name_or(
        lambda cached: (_rebuild.lru_cached, (cached.__wrapped__, cached.cache_parameters()))
    ),
    # functools.singledispatch keeps one.
    weakref.WeakKeyDictionary: lambda weak: (weakref.WeakKeyDictionary, (dict(weak),)),
    typing.NewType: _by_name_or(lambda new: (typing.NewType, (new.__name__, new.__supertype__))),
}
if sys.version_info >= (3, 12):
    _REDUCERS[typing.TypeAliasType] = _by_name_or(
        lambda alias: (_rebuild.type_alias, (alias.__name__, alias.__value__, alias.__type_params__))
    )
