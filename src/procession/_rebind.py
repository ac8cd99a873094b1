"""What a program imported from multiprocessing before procession took that name.

A coverage tool that every interpreter starts with, or the program itself, may have done that.  The
names that it bound lead to procession from then on, and classes that it derived from the stdlib's
are derived from procession's, as they are in spawned children, where their objects will be
unpickled.  What has been made by then stays what it is, and works beside procession's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

from . import _stdlib

_OURS = __name__.partition(".")[0]
_KINDS = type, FunctionType, MethodType

Pairs = Mapping[ModuleType, ModuleType]
"""Modules of the stdlib, and those of procession in their place."""


def rebind(pairs: Pairs) -> None:
    """Replace what other modules have bound of the stdlib's."""
    replaced = {id(old): new for old, new in _replaced(pairs)}
    for module in _others():
        for name, value in list(vars(module).items()):
            if id(value) in replaced:
                vars(module)[name] = replaced[id(value)]


def rebase(pairs: Pairs) -> None:
    """Replace the stdlib's classes as bases of others' classes."""
    for old, new in _replaced(pairs):
        if isinstance(old, type):
            derived: list[type] = type.__subclasses__(old)
            for kind in derived:
                if _package(kind.__module__) not in {_OURS, _stdlib.PUBLIC}:
                    _derive(kind, old, new)


def _derive(derived: type, old: type, new: Any) -> None:
    try:
        derived.__bases__ = tuple(new if base is old else base for base in derived.__bases__)
    except TypeError:
        # Of another layout, as a native lock is; or derived from both.
        return
    told = getattr(new.__init_subclass__, "__func__", None)
    if told is not None:
        told(derived)


def _replaced(pairs: Pairs) -> Iterator[tuple[Any, Any]]:
    for old, new in pairs.items():
        yield old, new
        for name, thing in list(vars(old).items()):
            ours = getattr(new, name, thing)
            if ours is not thing and _is_theirs(thing):
                yield thing, ours


def _is_theirs(thing: object) -> bool:
    if isinstance(thing, ModuleType):
        return _package(thing.__name__) == _stdlib.PUBLIC
    return isinstance(thing, _KINDS) and _package(thing.__module__) == _stdlib.PUBLIC


def _others() -> Iterator[ModuleType]:
    loaded: dict[str, Any] = dict(sys.modules)  # whatever somebody has put there
    for name, module in loaded.items():
        if isinstance(module, ModuleType) and _package(name) not in {_OURS, _stdlib.PUBLIC}:
            yield module


def _package(name: str) -> str:
    return name.partition(".")[0]
