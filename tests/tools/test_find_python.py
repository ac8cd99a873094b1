"""Which Python the set-up takes, and what it says when there is none."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools/find_python.sh"


def find(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the script with nothing in PATH but `folder`."""
    return subprocess.run(
        ["/bin/sh", str(SCRIPT)],
        env={"PATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def python(folder: Path, name: str, *, before: str = "") -> None:
    """A Python of that name: this one, after the shell lines `before`."""
    path = folder / name
    path.write_text(f'#!/bin/sh\n{before}\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def bin_(tmp_path: Path) -> Path:
    """A folder for PATH, with a space in its name and the one program that the message calls."""
    folder = tmp_path / "some bin"
    folder.mkdir()
    (folder / "cat").symlink_to("/bin/cat")
    return folder


def test_no_python_at_all(bin_: Path) -> None:
    done = find(bin_)
    assert done.returncode == 1
    assert "Python 3.11 or newer is missing" in done.stderr
    assert "no python3 at all" in done.stderr
    assert "apt install python3" in done.stderr


def test_only_an_old_python(bin_: Path) -> None:
    python(bin_, "python3", before='[ "$1" = --version ] && { echo Python 3.9.1; exit; }; exit 1')
    done = find(bin_)
    assert done.returncode == 1
    assert "Found: Python 3.9.1" in done.stderr


def test_python3_comes_first(bin_: Path) -> None:
    python(bin_, "python3")
    python(bin_, "python3.13")
    assert find(bin_).stdout == "python3\n"


def test_a_name_that_does_not_run_is_passed_over(bin_: Path) -> None:
    python(bin_, "python3", before="exit 127")
    python(bin_, "python3.12")
    assert find(bin_).stdout == "python3.12\n"


def test_one_without_ensurepip_is_the_last_resort(bin_: Path) -> None:
    no_ensurepip = 'case "$2" in *ensurepip*) exit 1;; esac'
    python(bin_, "python3", before=no_ensurepip)
    assert find(bin_).stdout == "python3\n"
    python(bin_, "python3.11")
    assert find(bin_).stdout == "python3.11\n"


def test_the_one_asked_for_is_taken(bin_: Path) -> None:
    python(bin_, "python3")
    assert find(bin_, PYTHON=sys.executable).stdout == f"{sys.executable}\n"


def test_the_one_asked_for_does_not_run(bin_: Path) -> None:
    done = find(bin_, PYTHON="python9")
    assert done.returncode == 1
    assert "PYTHON=python9 does not run" in done.stderr


def test_the_one_asked_for_is_too_old(bin_: Path) -> None:
    python(bin_, "old", before='case "$2" in *print*) echo 3.8.2; exit;; *) exit 1;; esac')
    done = find(bin_, PYTHON="old")
    assert done.returncode == 1
    assert "PYTHON=old is version 3.8.2; procession needs CPython 3.11" in done.stderr
