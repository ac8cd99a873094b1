"""--follow: programs that a program starts."""

import os
import sys
from pathlib import Path

import pytest

from tests.kit import run_python

from .side_by_side import LAUNCHER

START = """
import subprocess, sys
words = sys.argv[1:]
sys.exit(subprocess.run([sys.executable, *words], timeout=40).returncode)
"""

TELL = """
import sys
here = [name for name in ("multiprocessing", "procession") if name in sys.modules]
import multiprocessing
print(here, multiprocessing.Process.__module__, sys.argv, [p for p in sys.path if "follow" in p])
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A program that starts another, and one that tells what it got."""
    (tmp_path / "start.py").write_text(START, encoding="utf-8")
    (tmp_path / "tell.py").write_text(TELL, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_programs_started_with_the_same_python_get_procession(place: Path, depth: int) -> None:
    """And nothing is imported before they want it."""
    words = ["start.py", *["start.py"] * depth, "tell.py", "x"]
    result = run_python(*LAUNCHER, "--follow", *words, cwd=place).check()
    assert result.stdout == "[] procession.context ['tell.py', 'x'] []\n"


def test_without_it_they_do_not(place: Path) -> None:
    result = run_python(*LAUNCHER, "start.py", "tell.py", cwd=place).check()
    assert result.stdout == "[] multiprocessing.context ['tell.py'] []\n"


@pytest.mark.parametrize("flag", ["-I", "-E", "-S"])
def test_one_that_wants_to_be_left_alone_is(place: Path, flag: str) -> None:
    result = run_python(*LAUNCHER, "--follow", "start.py", flag, "tell.py", cwd=place).check()
    assert "multiprocessing.context" in result.stdout


def test_a_program_that_imports_procession_first(place: Path) -> None:
    text = (
        "import procession, multiprocessing; print(multiprocessing is procession, procession.Pool.__name__)"
    )
    result = run_python(*LAUNCHER, "--follow", "start.py", "-c", text, cwd=place).check()
    assert result.stdout == "True Pool\n"
    text = "from procession.queues import Queue; import multiprocessing.queues as q; print(q.Queue is Queue)"
    result = run_python(*LAUNCHER, "--follow", "start.py", "-c", text, cwd=place).check()
    assert result.stdout == "True\n"


def test_the_users_own_customization_is_run_too(place: Path) -> None:
    (place / "sitecustomize.py").write_text("import sys; sys.customized = __file__", encoding="utf-8")
    text = "import multiprocessing, sys; print(multiprocessing.Process.__module__, sys.customized)"
    environment = {"PYTHONPATH": str(place)}
    result = run_python(*LAUNCHER, "--follow", "start.py", "-c", text, cwd=place, env=environment).check()
    assert result.stdout == f"procession.context {place / 'sitecustomize.py'}\n"


def test_an_error_in_the_users_own_customization_is_told(place: Path) -> None:
    for text, said in [("1/0", "ZeroDivisionError"), ("import missing_thing", "missing_thing")]:
        (place / "sitecustomize.py").write_text(text, encoding="utf-8")
        environment = {"PYTHONPATH": str(place)}
        result = run_python(*LAUNCHER, "--follow", "start.py", "tell.py", cwd=place, env=environment)
        plain = run_python("start.py", "tell.py", cwd=place, env=environment)
        assert (said in result.stderr) == (said in plain.stderr)
        assert result.returncode == plain.returncode == 0


def test_another_python_is_left_alone(place: Path) -> None:
    """As the environment would have it after another one's launcher."""
    from procession.cli import following

    environment = {"PYTHONPATH": following.FOLDER, following.VARIABLE: f"3.7 {sys.prefix}"}
    result = run_python("tell.py", cwd=place, env=environment).check()
    assert result.stdout == "[] multiprocessing.context ['tell.py'] []\n"


def test_what_stood_in_the_path_stays(place: Path) -> None:
    text = "import os, sys; print(os.environ['PYTHONPATH'].split(os.pathsep)[1:], sys.path[1:4])"
    environment = {"PYTHONPATH": f"/one{os.pathsep}{os.pathsep}/two"}
    result = run_python(*LAUNCHER, "--follow", "start.py", "-c", text, cwd=place, env=environment).check()
    assert result.stdout == f"['/one', '', '/two'] {['/one', str(place), '/two']}\n"


POOLED = """
import multiprocessing, subprocess, sys
def whose(_):
    text = "import multiprocessing; print(multiprocessing.Process.__module__)"
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True).stdout.strip()
if __name__ == "__main__":
    with multiprocessing.get_context(METHOD).Pool(1) as pool:
        print(pool.map(whose, [1]))
"""


def test_programs_started_by_children_are_followed(place: Path, method: str) -> None:
    (place / "pooled.py").write_text(f"METHOD = {method!r}\n{POOLED}", encoding="utf-8")
    assert (
        run_python(*LAUNCHER, "--follow", "pooled.py", cwd=place).check().stdout == "['procession.context']\n"
    )
