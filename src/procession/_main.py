"""What of ``__main__`` a child can import, told from the main module's source.

A child started by spawn or forkserver imports the parent's main under the name ``__mp_main__``,
as the documentation of multiprocessing says, if that is safe: if the file asks for its
``__name__`` before it acts.  Then what the file defines travels by name.  All else of main (what
a REPL, a notebook or a script without such a guard defines, what the guard protects, what was
redefined while the program ran) has to travel by value.

Start methods ask `importable_main`, picklers ask `travels_by_name`.
"""

from __future__ import annotations

import sys
import types
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._source import Place, Source

MAIN_NAMES = frozenset({"__main__", "__mp_main__"})


def importable_main() -> bool:
    """Whether a spawned child may import this program's main module.

    True for a script, or a module run by ``-m``, whose source has a top-level test of
    ``__name__``.  False where main is no file (a REPL, a notebook, ``-c``, stdin), where the
    source is gone or cannot be parsed, and for the mains that the stdlib leaves alone too:
    ``pkg/__main__.py``, a directory or archive that is run, the launcher of IPython.
    In a child that imported its main the answer is the same as in the parent.
    """
    source = _source()
    return source is not None and source.guarded


def travels_by_name(obj: Any) -> bool:
    """Whether a child finds this very function or class in the main module that it imports.

    False if main cannot be imported, and for what is not bound at the top level of its source,
    what is bound only within a test of ``__name__``, and what was redefined since.  True for
    anything whose ``__module__`` is another one than main.
    """
    if obj.__module__ not in MAIN_NAMES:
        return True
    source = _source()
    if source is None or not source.guarded:
        return False
    name = obj.__qualname__.partition(".")[0]
    return name in source.bound and is_found_in_main(obj) and _is_as_written(name, source)


def is_found_in_main(obj: Any) -> bool:
    """Whether this process's main has `obj` under the name that a pickle would give it."""
    found: Any = sys.modules["__main__"]
    for name in obj.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is obj


# ---- the main module and its source --------------------------------------------------------


def _source() -> Source | None:
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    spec = getattr(main, "__spec__", None)
    if not isinstance(file, str):
        return None
    from ._source import read

    return read(file, getattr(spec, "name", None), getattr(spec, "loader", None))


# ---- is it still what the source says? -----------------------------------------------------

_verdicts: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def _is_as_written(name: str, source: Source) -> bool:
    """Is main's `name` what the source bound to it?  Asked for every message, so remembered."""
    thing = getattr(sys.modules["__main__"], name)
    try:
        verdict = _verdicts.get(thing)
        if verdict is None:
            verdict = _verdicts[thing] = _matches(thing, source.bound[name], source.path)
    except TypeError:  # a metaclass without __hash__
        return _matches(thing, source.bound[name], source.path)
    return verdict


def _matches(thing: Any, places: Sequence[Place], path: str) -> bool:
    if isinstance(thing, type):
        return any(_class_fits(thing, place, path) for place in places)
    codes = [function.__code__ for function in _unwrapped(thing)]
    return any(_function_fits(codes, place, path) for place in places)


def _unwrapped(thing: Any) -> Iterator[types.FunctionType]:
    """The function, and those which its decorators say they wrap."""
    seen: set[int] = set()
    while thing is not None and id(thing) not in seen:
        seen.add(id(thing))
        if isinstance(thing, types.FunctionType):
            yield thing
        thing = getattr(thing, "__wrapped__", None)


def _function_fits(codes: list[types.CodeType], place: Place, path: str) -> bool:
    if any(code.co_firstlineno == place.first and _is_file(code, path) for code in codes):
        return True
    # A decorator or a call may give any function at all; but one typed in has no file.
    free = place.decorated or place.first == 0
    return free and not any(code.co_filename.startswith("<") for code in codes)


def _class_fits(cls: type, place: Place, path: str) -> bool:
    if place.first == 0:
        return True
    if vars(cls).get("__firstlineno__", place.first) != place.first:  # since Python 3.13
        return False
    # Before, one that has no method, and had none, cannot be told from another.
    return place.methods <= vars(cls).keys() and all(
        place.first <= code.co_firstlineno <= place.last and _is_file(code, path)
        for code in _codes_of_body(cls)
    )


def _codes_of_body(cls: type) -> Iterator[types.CodeType]:
    """Of the functions that the class statement itself defined, not its decorators."""
    for name, value in vars(cls).items():
        function = getattr(value, "__func__", value)
        if not isinstance(function, types.FunctionType):
            continue
        if function.__code__.co_qualname == f"{cls.__qualname__}.{name}":
            yield function.__code__


def _is_file(code: types.CodeType, path: str) -> bool:
    from ._source import absolute

    return code.co_filename == path or absolute(code.co_filename) == path
