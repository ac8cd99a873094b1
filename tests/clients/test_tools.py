"""Command-line tools: the same output with one process, with several, and on plain Python."""

import re
from pathlib import Path

import pytest

from tests.kit import Result, run_python

LAUNCHER = ("-m", "procession")

SOURCE = """import os, sys
import json
from collections import *

def double{n}(a,b = 3):
    x = 1
    if a == None :
        return  b
    return [i for i in range( {n} )]
class  Thing{n}( object ):
    def method(self): return undefined_name
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A package with much to complain of."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    for number in range(12):
        (package / f"module{number}.py").write_text(SOURCE.format(n=number), encoding="utf-8")
    return tmp_path


def run(place: Path, *words: str, plain: bool = False) -> Result:
    launcher = () if plain else LAUNCHER
    return run_python(*launcher, *words, cwd=place, limit=100)


def seen(result: Result) -> tuple[int, list[str]]:
    """What a user sees, but for times and the order, which depends on who was done first."""
    assert result.leftovers == (), result.report()
    text = re.sub(r"\d\d:\d\d:\d\d\.\d+|in \d+\.\d+s", "", result.stdout + result.stderr)
    return result.returncode, sorted(text.splitlines())


CHECKERS = {
    "flake8": (["flake8", "-j", "1", "package"], ["flake8", "-j", "3", "package"]),
    "pylint": (
        ["pylint", "-j", "1", *(rest := ["--persistent=n", "--disable=R0801", "package"])],
        ["pylint", "-j", "2", *rest],
    ),
    "black": (
        ["black", "--workers", "1", "--diff", "package"],
        ["black", "--workers", "3", "--diff", "package"],
    ),
    "isort": (["isort", "-j", "1", "--diff", "package"], ["isort", "-j", "2", "--diff", "package"]),
}


@pytest.mark.limit(150)
@pytest.mark.parametrize("name", CHECKERS)
def test_checkers(place: Path, name: str) -> None:
    one, several = CHECKERS[name]
    found = seen(run(place, "-m", *several))
    assert found == seen(run(place, "-m", *one))
    assert found == seen(run(place, "-m", *several, plain=True))
    assert len(found[1]) > 100, found


def test_compileall(place: Path) -> None:
    run(place, "-m", "compileall", "-f", "-q", "-j", "2", "package").check()
    assert len(list(place.rglob("*.pyc"))) == 13
    (place / "package" / "wrong.py").write_text("def", encoding="utf-8")
    words = ["-m", "compileall", "-f", "-q", "-j", "2", "package"]
    assert seen(run(place, *words)) == seen(run(place, *words, plain=True))


def test_sphinx(place: Path) -> None:
    source = place / "docs"
    source.mkdir()
    (source / "conf.py").write_text("project = 'x'\n", encoding="utf-8")
    (source / "index.rst").write_text("X\n=\n\n.. toctree::\n   :glob:\n\n   page*\n", encoding="utf-8")
    for number in range(30):
        text = f"Page {number}\n=======\n\nSee :doc:`page{number // 2}`.\n"
        (source / f"page{number}.rst").write_text(text, encoding="utf-8")
    pages = {}
    for jobs in ("1", "3"):
        run(place, "-m", "sphinx", "-q", "-W", "-E", "-j", jobs, "docs", f"html{jobs}").check()
        folder = place / f"html{jobs}"
        pages[jobs] = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
    assert len(pages["1"]) > 30
    assert pages["1"] == pages["3"]


COVERED = """
import multiprocessing, sys
def work(number):
    if number > 2:
        return 2 * number
    return number
def alone():
    return "in a process of its own"
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2, work, [0]) as pool:
        print(pool.map(work, range(6)))
        pool.close()
        pool.join()
    process = context.Process(target=alone)
    process.start()
    process.join()
    if process.exitcode:
        print("not covered")
"""


def test_coverage(place: Path, method: str) -> None:
    """Of what ran in children, by its own patches of their start.

    Each worker runs the initializer: of one that came too late for a task coverage says that it has no data.
    """
    (place / "covered.py").write_text(COVERED, encoding="utf-8")
    settings = "[run]\nconcurrency = multiprocessing\nparallel = True\nsource = .\nomit = package/*\n"
    (place / ".coveragerc").write_text(settings, encoding="utf-8")
    reports = []
    for plain in (False, True):
        ran = run(place, "-m", "coverage", "run", "covered.py", method, plain=plain).check()
        assert len(list(place.glob(".coverage.*"))) == 4
        run(place, "-m", "coverage", "combine", "-q", plain=True).check()
        report = run(place, "-m", "coverage", "report", "-m", plain=True).check().stdout
        reports.append((ran.stdout, ran.stderr, report))
    assert reports[0] == reports[1]
    assert " 94%   19" in reports[0][2], reports[0][2]


CASE = """
class Case{n}(SimpleTestCase):
    def test_it(self):
        self.assertLess({n}, 7)
        self.assertIn("PoolWorker", multiprocessing.current_process().name)
"""


def test_django(place: Path) -> None:
    """Its parallel test runner: a pool with an initializer, whose results are told as they come."""
    head = "import multiprocessing\nfrom django.test import SimpleTestCase\n"
    (place / "tests.py").write_text(head + "".join(CASE.format(n=n) for n in range(9)), encoding="utf-8")
    (place / "settings.py").write_text("INSTALLED_APPS = []\n", encoding="utf-8")
    words = ["-m", "django", "test", "--parallel", "2", "--settings", "settings", "--pythonpath", "."]
    found = []
    for plain in (False, True):
        result = run(place, *words, plain=plain)
        told = [line for line in result.stderr.splitlines() if line.startswith(("FAIL", "ERROR", "Assert"))]
        found.append((result.returncode, sorted(told)))
    failed = [f"FAIL: test_it (tests.Case{n}.test_it)" for n in (7, 8)]
    errors = [f"AssertionError: {n} not less than 7" for n in (7, 8)]
    assert found == [(1, sorted([*errors, *failed, "FAILED (failures=2)"]))] * 2
