"""Finds the part of a value that cannot travel, and the way to it.

Looked for only after pickling has failed: the value is pickled once more by a pickler that notes
what it comes to, and the last thing it came to is then searched for from the value on down.
"""

from __future__ import annotations

import copyreg
import functools
import itertools
import time
import types
from collections.abc import Iterable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

from . import _rebuild
from ._duplicates import close_duplicates, give_back
from ._handlers import raised_by_handler
from ._pickling import Pickler, Reduced, Table

SECONDS = 1.0
"""How long the search may take before the error is raised without a path."""

Part = tuple[str, Any]  # the step to it, in the notation of Python, and the part

_ATOMS = frozenset({int, float, bool, str, bytes, bytearray, type(None)})


def find_culprit(value: object, table: Table) -> str:
    """The way from `value` to what cannot be pickled, as in ``.rows[0]``; empty if not found."""
    tracer = _Tracer(table)
    try:
        tracer.dump(value)
    except Exception as error:
        if raised_by_handler(error):
            raise
        # Whatever it is, it was raised before.
        if tracer.seen:
            paths = _paths(value, tracer)
            # What its __reduce__ made on the way is found nowhere; then its maker is blamed.
            return next((paths[id(thing)] for thing in reversed(tracer.seen) if id(thing) in paths), "")
    finally:
        give_back(tracer)
    return ""


class _Tracer(Pickler):
    """Notes what it is asked to pickle, and writes nothing."""

    def __init__(self, table: Table) -> None:
        super().__init__(self, table)
        self.seen: list[Any] = []

    def write(self, data: Any) -> None:
        pass

    def reducer_override(self, obj: Any) -> Reduced:
        self.seen.append(obj)
        return super().reducer_override(obj)

    def reduced(self, obj: Any) -> Reduced:
        """What the pickler makes of `obj`: a tuple, or a name."""
        result = super().reducer_override(obj)
        if result is not NotImplemented or issubclass(type(obj), (type, types.FunctionType)):
            return result
        reducer = self.dispatch_table.get(type(obj))
        return obj.__reduce_ex__(5) if reducer is None else reducer(obj)


def _paths(value: object, tracer: _Tracer) -> dict[int, str]:
    """The shortest path to each part, by its id, until the last that was seen is found."""
    deadline = time.monotonic() + SECONDS
    wanted = id(tracer.seen[-1])
    paths = {id(value): ""}
    found = [value]  # kept: the id of a part that was made on the way must not be used again
    for thing in found:
        if wanted in paths or time.monotonic() > deadline:
            break
        for step, part in _parts(thing, tracer):
            if type(part) not in _ATOMS and id(part) not in paths:
                paths[id(part)] = paths[id(thing)] + step
                found.append(part)
    close_duplicates(found)
    return paths


def _parts(thing: Any, tracer: _Tracer) -> Iterator[Part]:
    kind = type(thing)
    if kind in (list, tuple):
        yield from _items(thing)
    elif kind is dict:
        yield from _entries(thing.items())
    elif kind in (set, frozenset):
        yield from ((f"<item {_short(item)}>", item) for item in thing if type(item) not in _ATOMS)
    else:
        try:
            reduced = tracer.reduced(thing)
        except Exception as error:
            if raised_by_handler(error):
                raise
            return  # that may be the very error
        if isinstance(reduced, tuple):
            yield from _parts_of_reduced(thing, *itertools.islice(reduced, 5))


def _parts_of_reduced(
    thing: Any, maker: Any, arguments: Any, state: Any = None, items: Any = None, entries: Any = None
) -> Iterator[Part]:
    if maker is _rebuild.function:
        yield from _parts_of_function(thing, state)
    elif maker is _rebuild.definition:
        yield from _arguments(thing, maker, arguments[2])
        yield from _attributes(thing, state[2])
    else:
        yield from _arguments(thing, maker, arguments)
        yield from _attributes(thing, state)
    yield from _items(items or ())
    yield from _entries(entries or ())


def _parts_of_function(function: types.FunctionType, state: Any) -> Iterator[Part]:
    _, attributes, contents, bindings, _ = state
    for name, (_, *content) in zip(function.__code__.co_freevars, contents, strict=True):
        yield from ((f".<closure>.{name}", part) for part in content)
    yield from ((f".<global>.{name}", value) for name, (_, value) in bindings.items())
    yield from ((f".{name}", part) for name, part in attributes.items())


def _arguments(thing: Any, maker: Any, arguments: Any) -> Iterator[Part]:
    steps: Iterable[str]
    if maker in (copyreg.__newobj__, copyreg._reconstructor):  # type: ignore[attr-defined]
        steps = itertools.chain([".__class__"], (f"[{n}]" for n in itertools.count()))
    elif isinstance(thing, BaseException):
        steps = (f".args[{n}]" for n in itertools.count())
    elif isinstance(thing, functools.partial):
        steps = (".func", ".args", ".keywords")
    elif isinstance(thing, types.MethodType):
        steps = (".__self__", ".__func__") if arguments[0] is thing.__self__ else (".__func__", ".__self__")
    else:
        steps = (f".<argument {n}>" for n in itertools.count())
    return zip(steps, arguments, strict=False)


def _attributes(thing: Any, state: Any) -> Iterator[Part]:
    # As object.__reduce_ex__ has it: a dict, or a pair of it and one for slots.
    pair = state if isinstance(state, tuple) and len(state) == 2 else (state,)
    for part in pair:
        if isinstance(part, dict):
            yield from ((_attribute(thing, name), value) for name, value in part.items())
        elif part is not None:
            yield ".<state>", part


def _attribute(thing: Any, name: Any) -> str:
    # A process keeps its arguments under private names; the caller knows them by these.
    hidden = isinstance(thing, BaseProcess) and name in ("_target", "_args", "_kwargs")
    return f".{name[1:] if hidden else name}"


def _items(things: Iterable[Any]) -> Iterator[Part]:
    return ((f"[{n}]", thing) for n, thing in enumerate(things) if type(thing) not in _ATOMS)


def _entries(entries: Iterable[tuple[Any, Any]]) -> Iterator[Part]:
    for key, value in entries:
        if type(value) not in _ATOMS:
            yield f"[{_short(key)}]", value
        if type(key) not in _ATOMS:
            yield f"<key {_short(key)}>", key


def _short(thing: Any) -> str:
    try:
        text = repr(thing)
    except Exception:  # noqa: BLE001 - somebody else's __repr__
        text = object.__repr__(thing)
    return text if len(text) <= 40 else text[:37] + "..."
