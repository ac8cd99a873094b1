"""What unpickles functions and classes that travel by value.

Pickles made by :mod:`procession._pickling` name the functions of this module.  A function is
rebuilt on a namespace that exists: this process's ``__main__``, or that of the module it is from;
not on a private copy, so that what it reads and sets is what everybody else here sees.
"""

from __future__ import annotations

import functools
import importlib
import types
import typing
from collections.abc import Callable
from typing import Any

from . import _origin
from ._origin import Mark

Bindings = dict[str, tuple[Mark, Any]]

# Definitions that were made but whose body has not arrived whole; a load may fail half way.
_hollow: set[Mark] = set()


def empty_cell() -> types.CellType:
    """A cell of a closure, to be filled when all that it may refer to exists."""
    return types.CellType()


def function(
    mark: Mark | None, code: types.CodeType, module: str, cells: tuple[types.CellType, ...] | None
) -> types.FunctionType:
    """The function known by `mark`, or a new one on the namespace of `module`."""
    here = None if mark is None else _origin.known(mark)
    if here is not None:
        return here  # type: ignore[no-any-return]
    made = types.FunctionType(code, vars(importlib.import_module(module)), closure=cells)
    _begin(mark, made)
    return made


def fill_function(
    made: types.FunctionType,
    state: tuple[Mark | None, dict[str, Any], list[tuple[Any, ...]], Bindings, list[str]],
) -> None:
    """Give a function what makes it whole, and main the globals that it needs.

    The globals are placed for a known function too: one of them may have been defined anew.
    """
    mark, attributes, contents, bindings, submodules = state
    for name in submodules:
        importlib.import_module(name)
    for name, (stamp, value) in bindings.items():
        _origin.place(name, stamp, value)
    if mark is not None and mark not in _hollow:
        return
    for cell, *content in contents:
        if content:
            cell.cell_contents = content[0]
    made.__dict__.update(attributes.pop("__dict__"))
    for name, value in attributes.items():
        setattr(made, name, value)
    _finish(mark)


def definition(mark: Mark, maker: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The class known by `mark`, or an empty one by `maker`."""
    here = _origin.known(mark)
    if here is not None:
        return here
    made = maker(*arguments)
    _begin(mark, made)
    return made


def fill_definition(
    made: type, state: tuple[Mark, Callable[[Any, Any], Any], Any, tuple[str, Mark] | None]
) -> None:
    """Give a class its body, and main the class, unless it was known here."""
    mark, setter, body, binding = state
    if mark not in _hollow:
        return
    setter(made, body)
    if binding is not None:
        _origin.place(*binding, made)
    _finish(mark)


def _begin(mark: Mark | None, made: Any) -> None:
    if mark is not None:
        _hollow.add(mark)
        _origin.adopt(made, mark)


def _finish(mark: Mark | None) -> None:
    # Last: a thread that unpickles the same definition meanwhile must fill it for itself.
    if mark is not None:
        _hollow.discard(mark)


def lru_cached(wrapped: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """`wrapped` with an empty cache like the sender's."""
    return functools.lru_cache(**parameters)(wrapped)


def type_alias(name: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    """What ``type name[parameters] = value`` makes, since Python 3.12."""
    return typing.TypeAliasType(name, value, type_params=parameters)  # type: ignore[attr-defined]
