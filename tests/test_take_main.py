"""A child runs the program's main module again, in one namespace."""

import py_compile
from pathlib import Path

import pytest

from tests.kit import run_python

MAIN = """
import sys
argv0 = sys.argv[0]
early = sys.modules["__mp_main__"]
state = "fresh"
def change():
    global state
    state = "changed"
if __name__ == "__main__":
    raise AssertionError("the guard did not hold")
"""

CHECK = """
import sys
main = sys.modules["__main__"]
assert main is sys.modules["__mp_main__"] is main.early
assert (main.__name__, main.__file__) == ("__mp_main__", file), main.__file__
main.change()
assert main.state == "changed"
assert (main.argv0, sys.argv[0]) == (file, "-c")
"""


def in_child(code: str, *args: str, cwd: Path | None = None) -> str:
    """What a new interpreter prints, with `take` as the module to test."""
    prepared = f"import sys; from procession import _take_main as take\n{code}"
    return run_python("-c", prepared, *args, cwd=cwd).check().stdout


def test_a_script_is_run_in_one_namespace(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(MAIN)
    checks = "assert (main.__package__, main.__spec__, main.__loader__) == ('', None, None)"
    in_child(f"file = sys.argv[1]; take.from_path(file)\n{CHECK}{checks}", str(tmp_path / "script.py"))


def test_a_compiled_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(MAIN)
    compiled = py_compile.compile(str(tmp_path / "script.py"), cfile=str(tmp_path / "script.pyc"))
    in_child(f"file = sys.argv[1]; take.from_path(file)\n{CHECK}", str(compiled))


def test_a_module_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "parcel").mkdir()
    (tmp_path / "parcel" / "__init__.py").write_text("")
    (tmp_path / "parcel" / "other.py").write_text("there = 1")
    (tmp_path / "parcel" / "mod.py").write_text(MAIN + "from .other import there\n")
    checks = "assert (main.__package__, main.__spec__.name, main.there) == ('parcel', 'parcel.mod', 1)"
    file = tmp_path / "parcel" / "mod.py"
    in_child(f"file = sys.argv[1]; take.from_name('parcel.mod')\n{CHECK}{checks}", str(file), cwd=tmp_path)


def test_what_is_main_already_is_not_run_again(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("print('run', __name__)")
    once = "take.from_path('script.py'); take.from_path('script.py')"
    assert in_child(once, cwd=tmp_path) == "run __mp_main__\n"
    once = "take.from_name('script'); take.from_name('script')"
    assert in_child(once, cwd=tmp_path) == "run __mp_main__\n"


def test_what_the_stdlib_leaves_alone(tmp_path: Path) -> None:
    for name in ("ipython", "ipython.py", "__main__.py"):
        (tmp_path / name).write_text("raise AssertionError")
    code = "take.from_path('ipython'); take.from_path('ipython.py')\n"
    in_child(code + "take.from_name('__main__'); take.from_name('any.__main__')", cwd=tmp_path)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("take.from_path('missing.py')", "FileNotFoundError"),
        ("take.from_path('broken.py')", "SyntaxError"),
        ("take.from_path('raising.py')", "ZeroDivisionError"),
        ("take.from_name('missing')", "ImportError"),
        ("take.from_name('folder')", "ImportError"),
        ("take.from_name('raising')", "ZeroDivisionError"),
    ],
)
def test_a_main_that_fails_leaves_the_one_there_was(tmp_path: Path, call: str, error: str) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "raising.py").write_text("1 / 0\n")
    (tmp_path / "folder").mkdir()
    code = f"""
before = sys.modules["__main__"]
try:
    {call}
except {error}:
    assert sys.modules["__main__"] is sys.modules["__mp_main__"] is before
    assert sys.argv[0] == "-c"
    print("right")
"""
    assert in_child(code, cwd=tmp_path) == "right\n"
