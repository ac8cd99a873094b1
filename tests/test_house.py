"""The rules of the house that no linter knows."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LIMIT = 400
FUNCTION_LIMIT = 40


def files(*patterns: str) -> list[Path]:
    """Our own files: what is built or fetched lies in folders left out here."""
    found = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return [path for path in found if not {"target", "__pycache__"} & set(path.parts)]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


PYTHON = files(*(f"{room}/**/*.py" for room in ("src", "tests", "tools", "examples", "benchmarks")))
RUST = files("rust/**/*.rs")


@pytest.mark.parametrize("path", [*PYTHON, *RUST], ids=name)
def test_rooms_are_small(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= FILE_LIMIT, f"{name(path)} has {lines} lines, at most {FILE_LIMIT} are allowed: split it"


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_functions_are_small(path: Path) -> None:
    long = [f"{name(path)}:{f.lineno} {f.name}" for f in functions(path) if length(f) > FUNCTION_LIMIT]
    assert not long, f"longer than {FUNCTION_LIMIT} lines: {long}"


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, the docstring not counted."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) and first.end_lineno:
        lines -= first.end_lineno - first.lineno + 1
    return lines


@pytest.mark.parametrize("path", files("src/**/*.py"), ids=name)
def test_one_file_alone_imports_the_native_module(path: Path) -> None:
    if path.name == "_family.py":
        return
    importers = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom | ast.Import)
        and any(_is_core(node, alias.name) for alias in node.names)
    ]
    assert not importers, f"{name(path)} imports _core in lines {importers}; use _family"


def _is_core(node: ast.Import | ast.ImportFrom, imported: str) -> bool:
    module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
    return "_core" in {module.rpartition(".")[2], imported.rpartition(".")[2]}
