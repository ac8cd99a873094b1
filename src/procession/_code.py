"""Which globals and submodules a function's code asks for."""

from __future__ import annotations

import dis
import sys
import types
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

# Class bodies within a function look their globals up by LOAD_NAME.
_GLOBAL_OPS = frozenset(
    {"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
)


class Names(NamedTuple):
    """Names in a piece of code and in all code within it."""

    globals: tuple[str, ...]
    all: frozenset[str]


_known: weakref.WeakKeyDictionary[types.CodeType, Names] = weakref.WeakKeyDictionary()


def names_in(code: types.CodeType) -> Names:
    """The names that `code` looks up as globals, in order, and all names it mentions."""
    names = _known.get(code)
    if names is None:
        codes = list(_within(code))
        used = dict.fromkeys(name for inner in codes for name in _globals_of(inner))
        names = Names(tuple(used), frozenset(name for inner in codes for name in inner.co_names))
        _known[code] = names
    return names


def _within(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _within(constant)


def _globals_of(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in _GLOBAL_OPS:
            yield str(instruction.argval)


def submodules_for(names: Names, values: Iterable[Any]) -> list[str]:
    """Imported submodules that the code reaches as attributes of the packages in `values`.

    Of ``import xml.dom.minidom`` a function keeps the global ``xml`` alone; in another process
    nobody may have imported the rest.
    """
    packages = [
        value.__name__
        for value in values
        if isinstance(value, types.ModuleType) and getattr(value, "__path__", None)
    ]
    return [
        module
        for package in packages
        for module in list(sys.modules)
        if module.startswith(package + ".") and names.all.issuperset(module[len(package) + 1 :].split("."))
    ]
