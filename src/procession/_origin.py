"""How definitions and globals of main that travel by value stay one thing in every process.

A function or class sent by value is a copy on the other side.  Two tables keep copies from
multiplying and from overwriting each other:

*definitions*  each has a mark, given by the process that first saw it and sent along.  Who meets
               a mark that it knows takes its own object, so an instance that comes back from a
               child is an instance of the parent's class, and counters in the class are kept.
*bindings*     each value sent as a global of main has a mark too.  The receiver sets it where it
               has no such name, or where it still has the value which that very sender set
               before.  What a task or an initializer rebound or filled stays; a definition that
               is typed in anew in the sender arrives; the names of a parent's own main are safe
               from its children.

A mark is (origin, serial): a random number of the process, and a count.  Before each fork all
definitions of main are given theirs, so that both processes know them by the same mark.

Where every process of the program is a fork of the first, what main had defined at the first
fork is everywhere, and can go by name.  A byte of memory shared by all of them says whether that
is still so.  :mod:`procession._pickling` and :mod:`procession._rebuild` are the two sides.
"""

from __future__ import annotations

import itertools
import mmap
import os
import sys
import types
import weakref
from collections.abc import Iterator
from multiprocessing import process as _process
from typing import Any

from . import _private as private
from ._main import MAIN_NAMES, is_found_in_main, travels_by_name

Mark = tuple[int, int]

_serials = itertools.count(1)
_origin = 0
"""This process's number; 0 as long as it has not needed any."""


def _mark() -> Mark:
    global _origin
    if not _origin:
        private.undo(_be_another)
        _origin = int.from_bytes(os.urandom(8), "little")
    return _origin, next(_serials)


def _be_another() -> None:
    global _origin
    _origin = 0


# ---- definitions ---------------------------------------------------------------------------

_marks: dict[int, tuple[weakref.ref[Any], Mark]] = {}
_objects: weakref.WeakValueDictionary[Mark, Any] = weakref.WeakValueDictionary()


def mark_of(thing: Any) -> Mark:
    """The mark of a function or class, given to it now if it has none."""
    entry = _marks.get(id(thing))
    return adopt(thing, _mark()) if entry is None else entry[1]


def adopt(thing: Any, mark: Mark) -> Mark:
    """Find `thing` by `mark` from now on; gives the mark that it goes by itself, its first."""
    key = id(thing)  # not the thing itself: a metaclass may forbid hashing
    entry = _marks.setdefault(key, (weakref.ref(thing, lambda _: _marks.pop(key, None)), mark))
    _objects.setdefault(mark, thing)
    return entry[1]


def known(mark: Mark) -> Any:
    """The definition with this mark, or None if this process has none."""
    return _objects.get(mark)


# ---- bindings ------------------------------------------------------------------------------

# A value is held weakly where that is possible, else in a tuple, until `forget_unbound`.
_stamps: dict[str, tuple[weakref.ref[Any] | tuple[Any], Mark]] = {}


def _hold(value: Any) -> weakref.ref[Any] | tuple[Any]:
    try:
        return weakref.ref(value)
    except TypeError:
        return (value,)


def _is_held(held: weakref.ref[Any] | tuple[Any], value: Any) -> bool:
    if isinstance(held, tuple):
        return held[0] is value
    return value is not None and held() is value


def stamp(name: str, value: Any) -> Mark:
    """The mark of main's `name` while it is bound to this very `value`."""
    entry = _stamps.get(name)
    if entry is None or not _is_held(entry[0], value):
        entry = _stamps[name] = (_hold(value), _mark())
    return entry[1]


def place(name: str, mark: Mark, value: Any) -> None:
    """Bind `name` in this process's main, unless that would undo what was done here."""
    space = vars(sys.modules["__main__"])
    if name not in space or _is_superseded(space[name], _stamps.get(name), mark):
        space[name] = value
        _stamps[name] = (_hold(value), mark)


def _is_superseded(present: Any, entry: Any, mark: Mark) -> bool:
    if entry is None or not _is_held(entry[0], present):
        return False
    origin, serial = entry[1]
    return bool(origin == mark[0] != _origin and serial < mark[1])


def forget_unbound() -> None:
    """Let go of values that main has dropped, so that the table keeps no memory alive."""
    space = vars(sys.modules["__main__"])
    for name, (held, _) in list(_stamps.items()):
        if isinstance(held, tuple) and space.get(name) is not held[0]:
            _stamps.pop(name, None)


# ---- forks ---------------------------------------------------------------------------------

_inherited: dict[int, weakref.ref[Any]] | None = None
_strangers = mmap.mmap(-1, 1)


def admit_stranger() -> None:
    """Say that a process joins the program which is no fork of the others."""
    _strangers[0] = 1


def is_everywhere(thing: Any) -> bool:
    """Whether every process of the program has inherited this function or class of main."""
    if _inherited is None or _strangers[0]:
        return False
    held = _inherited.get(id(thing))
    return held is not None and held() is thing and is_found_in_main(thing)


def goes_by_name(thing: Any) -> bool:
    """Whether every receiver has this function or class of main under its name."""
    return travels_by_name(thing) or is_everywhere(thing)


def _definitions() -> Iterator[tuple[str, Any]]:
    for name, thing in list(vars(sys.modules["__main__"]).items()):
        # Not isinstance, which asks the thing itself: it may be a proxy, and not connected.
        if issubclass(type(thing), (type, types.FunctionType)) and thing.__module__ in MAIN_NAMES:
            yield name, thing


def _before_fork() -> None:
    global _inherited
    found = dict(_definitions())
    for name, thing in found.items():
        mark_of(thing)
        stamp(name, thing)
    if _inherited is None and _process.parent_process() is None:
        _inherited = {id(thing): weakref.ref(thing) for thing in found.values()}


os.register_at_fork(before=_before_fork)
