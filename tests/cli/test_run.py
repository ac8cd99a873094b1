"""The launcher's own command line."""

from pathlib import Path

import pytest

from tests.kit import run_python

from .side_by_side import LAUNCHER


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["run", "--help"]])
def test_help(words: list[str]) -> None:
    result = run_python(*LAUNCHER, *words).check()
    assert "usage: python -m procession [--follow] FILE" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "usage"),
        (["--follow"], "usage"),
        (["--"], "usage"),
        (["--wrong", "x.py"], "unknown option --wrong"),
        (["-O", "x.py"], "unknown option -O; those of Python stand before -m procession"),
        (["-m"], "argument expected for the -m option"),
        (["-c"], "argument expected for the -c option"),
    ],
)
def test_what_is_refused(words: list[str], reason: str) -> None:
    result = run_python(*LAUNCHER, *words)
    assert result.returncode == 2
    assert reason in result.stderr
    assert result.stdout == ""


def test_a_file_with_the_name_of_a_command(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("import sys; print(sys.argv)", encoding="utf-8")
    assert run_python(*LAUNCHER, "run", "run", "x", cwd=tmp_path).check().stdout == "['run', 'x']\n"
    assert run_python(*LAUNCHER, "./run", "x", cwd=tmp_path).check().stdout == "['./run', 'x']\n"


def test_after_two_dashes_stands_a_file(tmp_path: Path) -> None:
    for name in ("run", "--follow", "-mthis"):
        (tmp_path / name).write_text("import sys; print(sys.argv)", encoding="utf-8")
        assert run_python(*LAUNCHER, "--", name, "x", cwd=tmp_path).check().stdout == f"['{name}', 'x']\n"
    result = run_python(*LAUNCHER, "--follow", "--", "-c", cwd=tmp_path)
    assert result.returncode == 2
    assert "can't open file" in result.stderr


def test_options_after_the_program_are_its_own() -> None:
    result = run_python(*LAUNCHER, "-c", "import sys; print(sys.argv)", "--follow", "-m")
    assert result.check().stdout == "['-c', '--follow', '-m']\n"


def test_a_program_may_run_another_by_how_it_was_run_itself(tmp_path: Path) -> None:
    """Reloaders of web servers do so."""
    text = """
import multiprocessing, os, sys
print(multiprocessing.Process.__module__, sys.argv[1:], flush=True)
if sys.argv[1] == "first":
    os.execv(sys.executable, [*sys.orig_argv[:-1], "second"])
"""
    (tmp_path / "again.py").write_text(text, encoding="utf-8")
    result = run_python(*LAUNCHER, "again.py", "first", cwd=tmp_path).check()
    assert result.stdout == "procession.context ['first']\nprocession.context ['second']\n"
