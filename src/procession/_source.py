"""The source of a main module: whether it is safe to import, and what it binds at its top level.

Used by :mod:`procession._main`, when it is first asked; parsing modules are slow to import.
"""

from __future__ import annotations

import ast
import functools
import os
import warnings
from multiprocessing import process as _process
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Where a name is bound: by ``def`` or ``class`` from line `first` to `last`, else 0 and 0."""

    first: int
    last: int
    decorated: bool
    methods: frozenset[str] = frozenset()
    """Of a class: the functions in its body, as far as no decorator may have made them another thing."""


class Source(NamedTuple):
    """What the text of a main module says."""

    path: str
    guarded: bool
    bound: dict[str, list[Place]]


@functools.lru_cache(maxsize=8)
def read(file: str, name: str | None, loader: Any) -> Source | None:
    """What the main module from `file` says, run as module `name` or, if None, as a script.

    None if a child cannot import it: the stdlib's spawn leaves it alone too, or its source is
    gone or is none.  Read once: the answers must not change when somebody edits the file.
    """
    if _is_left_alone(name, file):
        return None
    path = absolute(file)
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


def absolute(path: str) -> str:
    """The full path of a file that was named when the program began."""
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
        first, last = min([node.lineno, *decorators]), node.end_lineno or node.lineno
        self._bind(node.name, Place(first, last, bool(decorators), _methods(node)))

    def _bind(self, name: str, place: Place) -> None:
        self.bound.setdefault(name, []).append(place)


def _methods(node: ast.AST) -> frozenset[str]:
    """The names that a class keeps its undecorated functions under."""
    if not isinstance(node, ast.ClassDef):
        return frozenset()
    names = [item.name for item in node.body if isinstance(item, ast.FunctionDef) and not item.decorator_list]
    private = f"_{node.name.lstrip('_')}"
    return frozenset(
        private + name if name.startswith("__") and not name.endswith("__") else name for name in names
    )


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
