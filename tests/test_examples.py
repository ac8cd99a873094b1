"""Every example runs under every start method and says what it shall."""

import shlex
import sys
from pathlib import Path

import pytest

from tests.kit import run_python, run_script

EXAMPLES = Path(__file__).parent.parent / "examples"

PROCESS = """\
Factorial before its start: alive False
I am Factorial, started by MainProcess, and 10! is 3628800
Factorial at work: alive True
Factorial after its end: alive False, exit code 0
"""

POOL = """\
map           [1, 1, 2, 6, 24, 120, 720, 5040]
map_async     [40320, 362880, 3628800, 39916800]
apply         479001600
apply_async   6227020800
with an error ValueError('factorial() not defined for negative values')
starmap       [20, 9]
imap          6749977114
"""

QUEUE_AND_PIPE = """\
over the queue: 1! is 1
over the queue: 2! is 2
over the queue: 3! is 6
over the queue: 4! is 24
over the queue: 5! is 120
over the pipe: 1! is 1
over the pipe: 2! is 2
over the pipe: 3! is 6
over the pipe: 4! is 24
over the pipe: 5! is 120
"""

LOCK = """\
4 processes took 10000 steps each; the counter stands at 40000
"""

MANAGER = """\
Ann gave Bob 30
Bob gave Ann 50
{'Ann': 120, 'Bob': 80}
"""

CONCEPTS = {"process": PROCESS, "pool": POOL, "queue_and_pipe": QUEUE_AND_PIPE, "lock": LOCK}
"""Those of the tour."""

OUTPUT = {**CONCEPTS, "manager": MANAGER}


@pytest.mark.parametrize("name", OUTPUT)
def test_a_concept(name: str, method: str) -> None:
    result = run_script(EXAMPLES / f"{name}.py", "--method", method).check()
    assert result.stdout == OUTPUT[name]
    assert result.stderr == ""


@pytest.mark.parametrize("name", OUTPUT)
def test_a_concept_by_the_default_method(name: str) -> None:
    assert run_script(EXAMPLES / f"{name}.py").check().stdout == OUTPUT[name]


def test_the_tour(method: str) -> None:
    result = run_script(EXAMPLES / "tour.py", "--method", method, "--limit", "40").check()
    for text in CONCEPTS.values():
        assert text in result.stdout
    assert "All three agree." in result.stdout
    assert "40 of 40 files" in result.stdout
    assert result.stderr == ""


def test_every_example_is_tested_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*OUTPUT, "tour", "index"}


@pytest.fixture
def stdlib(tmp_path: Path) -> Path:
    """A little library with what the real one has of the kinds that are hard to read."""
    files = {
        "good.py": b"class A:\n    def f(self): return def_\n",
        "umlaut.py": "# coding: latin-1\nä = 1\n".encode("latin-1"),
        "encoding.py": b"# coding: no-such-thing\n",
        "bytes.py": b"x = '\xff'\n",
        "bracket.py": b"f(\n",
        "indent.py": b"if x:\n        a\n    b\n",
        "empty.py": b"",
        "site-packages/other.py": b"x\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
    return tmp_path


def test_what_cannot_be_tokenised_is_named(stdlib: Path, method: str) -> None:
    result = run_script(EXAMPLES / "index.py", "--method", method, "--stdlib", str(stdlib)).check()
    assert "7 files of" in result.stdout
    assert "8 words, 8 different; 2 definitions" in result.stdout
    assert "4 files are not Python" in result.stdout
    for name in (
        "encoding.py: SyntaxError",
        "bytes.py: SyntaxError",
        "bracket.py: TokenError",
        "indent.py: ",
    ):
        assert f"    {name}" in result.stdout


def test_a_terminal_gets_a_bar(stdlib: Path) -> None:
    index = shlex.join([sys.executable, str(EXAMPLES / "index.py"), "--stdlib", str(stdlib)])
    command = ["sh", "-c", f"stty columns 100 rows 30 && {index}"]
    result = run_python("-c", f"import pty, sys; sys.exit(pty.spawn({command!r}) >> 8)").check()
    assert "files/s" in result.stdout
    assert "All three agree." in result.stdout
