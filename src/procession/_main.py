"""What of ``__main__`` a child can import, told from the main module's source.

A child started by spawn or forkserver imports the parent's main under the name ``__mp_main__``,
as the documentation of multiprocessing says, if that is safe: if the file asks for its
``__name__`` before it acts.  Then what the file defines travels by name.  All else of main (what
a REPL, a notebook or a script without such a guard defines, what the guard protects, what was
redefined while the program ran) has to travel by value.

Start methods ask `importable_main`, picklers ask `travels_by_name`.
"""

from __future__ import annotations

import ast
import functools
import os
import sys
import types
import warnings
import weakref
from collections.abc import Iterator
from multiprocessing import process as _process
from typing import Any, NamedTuple

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
    path = obj.__qualname__.split(".")
    return path[0] in source.bound and _resolve(path) is obj and _is_as_written(path[0], source)


# ---- the main module and its source --------------------------------------------------------


class Place(NamedTuple):
    """Where a name is bound: by ``def`` or ``class`` from line `first` to `last`, else 0 and 0."""

    first: int
    last: int
    decorated: bool


class Source(NamedTuple):
    """What the text of a main module says."""

    path: str
    guarded: bool
    bound: dict[str, list[Place]]


def _source() -> Source | None:
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    spec = getattr(main, "__spec__", None)
    if not isinstance(file, str):
        return None
    return _read(file, getattr(spec, "name", None), getattr(spec, "loader", None))


@functools.lru_cache(maxsize=8)
def _read(file: str, name: str | None, loader: Any) -> Source | None:
    """Parsed once: the answers must not change when somebody edits the file meanwhile."""
    if _is_left_alone(name, file):
        return None
    path = _absolute(file)
    text = _text(path, name, loader)
    if text is None:
        return None
    reader = _Reader()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they were shown when the program was compiled
            reader.read(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return Source(path, reader.guarded, reader.bound)


def _is_left_alone(name: str | None, file: str) -> bool:
    if name is None:
        return os.path.splitext(os.path.basename(file))[0] == "ipython"
    return name == "__main__" or name.endswith(".__main__")


def _absolute(path: str) -> str:
    # The working directory may have changed since the interpreter found its main.
    original = _process.ORIGINAL_DIR  # type: ignore[attr-defined]
    return os.path.normpath(os.path.join(original or "", path))


def _text(path: str, name: str | None, loader: Any) -> bytes | str | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        pass
    try:
        text = loader.get_source(name)  # a module run by -m from an archive
    except (AttributeError, ImportError):
        return None
    return text if isinstance(text, str) else None


class _Reader:
    """Notes what is bound at the top level outside of tests of ``__name__``."""

    def __init__(self) -> None:
        self.guarded = False
        self.bound: dict[str, list[Place]] = {}

    def read(self, node: ast.AST) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._define(node)
            case ast.Name(id=name, ctx=ast.Store()):
                self._bind(name, Place(0, 0, decorated=False))
            case ast.alias():
                self._bind(node.asname or node.name.partition(".")[0], Place(0, 0, decorated=False))
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                pass  # names in it are its own
            case _ if any(_asks_name(test) for test in _tests(node)):
                # Neither branch counts: here the one is run, in the child the other.
                self.guarded = True
            case _:
                for child in ast.iter_child_nodes(node):
                    self.read(child)

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        decorators = [decorator.lineno for decorator in node.decorator_list]
        last = node.end_lineno or node.lineno
        self._bind(node.name, Place(min([node.lineno, *decorators]), last, bool(decorators)))

    def _bind(self, name: str, place: Place) -> None:
        self.bound.setdefault(name, []).append(place)


def _tests(node: ast.AST) -> list[ast.expr]:
    """What decides whether parts of a statement are run."""
    match node:
        case ast.If(test=test) | ast.While(test=test) | ast.Match(subject=test):
            return [test]
        case ast.Expr(value=ast.BoolOp(values=[*tests, _])):  # __name__ == "__main__" and main()
            return tests
        case ast.Expr(value=ast.IfExp(test=test)):
            return [test]
    return []


def _asks_name(expression: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(expression))


# ---- is it still what the source says? -----------------------------------------------------

_verdicts: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def _resolve(path: list[str]) -> Any:
    found: Any = sys.modules["__main__"]
    for name in path:
        found = getattr(found, name, None)
    return found


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


def _matches(thing: Any, places: list[Place], path: str) -> bool:
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
    return all(
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
    return code.co_filename == path or _absolute(code.co_filename) == path
