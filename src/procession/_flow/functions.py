"""Functions travel once: what a message says of its function, and what a worker remembers.

A function that every worker can import is named in each message; it has no state that could go
stale.  Any other is rebuilt once a worker and job (so tasks of one `map` see what earlier ones left
in it, as within a chunk of the stdlib's), once a call where there is but one.  A large one lies in a
shared block that each message carries, so that a worker who joins late finds it too.
"""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

from .. import _family
from ..reduction import loads, parts

BY_NAME = -1
ONCE = 0

SHORT = 1024
"""Bytes up to which a function's pickle goes with every message."""
REMEMBERED = 256
"""Functions by name that are remembered, on either side."""
KEPT = 4
"""Functions of jobs that a worker keeps: so many jobs may take turns."""

_NAMED = frozenset({types.FunctionType, types.BuiltinFunctionType, type})


class Wire(NamedTuple):
    """What messages say of a function: a key, its pickle or a block with it, and what that carries.

    The key is BY_NAME, ONCE, or the number of a job's function.
    """

    key: int
    text: bytes | _family.Block
    carry: tuple[Any, ...]


class Shelf:
    """The sender's side: the pickles of functions."""

    def __init__(self) -> None:
        self._keys = count(1)
        self._named: dict[Any, tuple[Wire, dict[str, Any], str]] = {}

    def wire(self, function: Callable[..., Any], *, once: bool) -> Wire:
        """Raises what pickling the function raises."""
        known = self._named.get(function) if type(function) in _NAMED else None
        if known is not None:
            wire, namespace, name = known
            # Else the name has been given to another since.
            if namespace.get(name) is function:
                return wire
        carry: list[Any] = []
        text = parts(function, carry, label="func", shared=True)
        if type(text) is bytes and self._is_name(function, text):
            return self._remember(function, text)
        texts = text if isinstance(text, list) else [text]
        if once or (len(texts) == 1 and len(texts[0]) <= SHORT):
            return Wire(ONCE if once else next(self._keys), b"".join(texts), tuple(carry))
        block = _block_of(texts)
        return Wire(next(self._keys), block, (block, *carry))

    def _is_name(self, function: Any, text: bytes) -> bool:
        if type(function) not in _NAMED or _namespace(function).get(function.__qualname__) is not function:
            return False
        return text == pickle.dumps(function, pickle.HIGHEST_PROTOCOL)

    def _remember(self, function: Any, text: bytes) -> Wire:
        wire = Wire(BY_NAME, text, ())
        if len(self._named) >= REMEMBERED:
            self._named.clear()
        self._named[function] = wire, _namespace(function), function.__qualname__
        return wire


def _block_of(texts: Sequence[Any]) -> _family.Block:
    block = _family.Block(sum(memoryview(text).nbytes for text in texts))
    place, view = 0, memoryview(block)
    for text in texts:
        end = place + memoryview(text).nbytes
        view[place:end] = memoryview(text).cast("B")
        place = end
    return block


def _namespace(function: Any) -> dict[str, Any]:
    return getattr(sys.modules.get(function.__module__), "__dict__", {})


class Repertoire:
    """The worker's side: functions that were rebuilt."""

    def __init__(self) -> None:
        self._named: dict[bytes, Callable[..., Any]] = {}
        self._kept: dict[int, Callable[..., Any]] = {}

    def function(self, key: int, text: Any) -> Callable[..., Any]:
        """Raises what unpickling raises."""
        if key == BY_NAME:
            return self._by_name(text)
        function = self._kept.get(key)
        if function is None:
            function = loads(text)
            if key != ONCE:
                self._keep(key, function)
        return function

    def _by_name(self, text: bytes) -> Callable[..., Any]:
        function = self._named.get(text)
        if function is None:
            function = loads(text)
            if len(self._named) >= REMEMBERED:
                self._named.clear()
            self._named[text] = function
        return function

    def _keep(self, key: int, function: Callable[..., Any]) -> None:
        while len(self._kept) >= KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = function
