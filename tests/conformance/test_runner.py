"""The runner of CPython's tests, on a small suite of its own kind: what passes, fails, hangs, dies."""

import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from . import session, verdicts
from .rewritten import PACKAGE, rewrite
from .session import Job, Verdict
from .verdicts import Book, Entry

VERSION = "3.11"

SUITE = """
import os, subprocess, sys, time, unittest

class Some(unittest.TestCase):
    def test_good(self): pass
    def test_bad(self): self.fail("as it should")
    def test_dead(self): os._exit(9)
    def test_hangs(self): time.sleep(100)
    def test_later(self): pass
    @unittest.skip("for a reason")
    def test_skipped(self): pass
    def test_parts(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertNotEqual(number, 1)

class Refusing(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise OSError("no such luck")
    def test_one(self): pass
    def test_two(self): pass

class Leaving(unittest.TestCase):
    def test_one(self):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(session, "LIMIT", 3.0)
    monkeypatch.setattr(session, "MOMENT", 0.5)
    room = tmp_path / "lib" / PACKAGE
    room.mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
    (room / "__init__.py").touch()
    (room / "child.py").write_text(Path(__file__).with_name("child.py").read_text("utf-8"), "utf-8")
    (room / "test_multiprocessing_fork.py").write_text(textwrap.dedent(SUITE), "utf-8")
    return tmp_path


def job(folder: Path, name: str, *tests: str) -> Job:
    return Job(sys.executable, folder, "fork", "misc", name, tests)


def outcomes(found: list[Verdict]) -> dict[str, str]:
    return {verdict.test: verdict.outcome for verdict in found}


def test_each_test_has_its_verdict_whatever_the_others_do(folder: Path) -> None:
    names = ("bad", "dead", "good", "hangs", "later", "parts", "skipped")
    found = session.run(job(folder, "Some", *(f"test_{name}" for name in names)))
    assert outcomes(found) == {
        "test_bad": "failed",
        "test_dead": "failed",
        "test_good": "passed",
        "test_hangs": "hung",
        "test_later": "passed",
        "test_parts": "failed",
        "test_skipped": "skipped",
    }
    assert found[0].called == "fork/Some.test_bad"
    said = {verdict.test: verdict.why for verdict in found}
    assert "as it should" in said["test_bad"]
    assert "ended with 9" in said["test_dead"]
    assert "in test_hangs" in said["test_hangs"]  # the stack
    assert said["test_skipped"] == "for a reason"


def test_where_the_set_up_fails_all_fail(folder: Path) -> None:
    found = session.run(job(folder, "Refusing", "test_one", "test_two"))
    assert [(verdict.test, verdict.outcome) for verdict in found] == [
        ("test_one", "failed"),
        ("test_two", "failed"),
    ]
    assert all("no such luck" in verdict.why for verdict in found)


def test_a_class_that_does_not_exist_fails(folder: Path) -> None:
    (verdict,) = session.run(job(folder, "Missing", "test_one"))
    assert verdict.bad
    assert "Missing" in verdict.why


def test_what_outlives_its_class_is_a_failure_and_gone(folder: Path) -> None:
    found = session.run(job(folder, "Leaving", "test_one"))
    assert [(verdict.test, verdict.outcome) for verdict in found] == [
        ("test_one", "passed"),
        ("<end>", "failed"),
    ]
    assert "time.sleep(100)" in found[1].why


def test_our_name_stands_where_the_stdlibs_did() -> None:
    source = """
    import multiprocessing.pool, _multiprocessing
    from test import _test_multiprocessing
    PRELOAD = ['__main__', 'test.test_multiprocessing_fork']
    warning = 'unclosed running multiprocessing pool'
    command = [sys.executable, '-E', '-S', '-O', '-c', 'from multiprocessing import Queue']
    """
    assert (
        rewrite(source, "procession")
        == f"""
    import procession.pool, _multiprocessing
    from test import _test_multiprocessing
    PRELOAD = ['__main__', '{PACKAGE}.test_multiprocessing_fork']
    warning = 'unclosed running multiprocessing pool'
    command = [sys.executable, '-O', '-c', 'from procession import Queue']
    """
    )


# ---- which verdicts count --------------------------------------------------------------------


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Book:
    exempt = [
        Entry("internal", ("*/Private.*",), "private"),
        Entry("unfit", ("*/Some.test_unfit",), "unfit", ("3.11",)),
        Entry("slow", ("*/Some.test_slow",), "slow"),
        Entry("skip", ("not here*",), "not here"),
    ]
    tables = {"exempt.toml": exempt, "expected.toml": [Entry("expected", ("*/Some.test_differs",), "better")]}
    monkeypatch.setattr(verdicts, "read", tables.__getitem__)
    return Book(VERSION, quick=True)


def noted(book: Book, folder: Path, name: str, outcome: str, why: str = "") -> Book:
    kind, _, test = name.partition(".")
    book.note(Verdict(job(folder, kind, test), test, outcome, why))
    return book


def counts(book: Book) -> tuple[int, ...]:
    return tuple(map(len, (book.passed, book.failed, book.differing, book.stale, book.internal)))


@pytest.mark.parametrize(
    ("name", "outcome", "why", "expected"),
    [
        ("Some.test_it", "passed", "", (1, 0, 0, 0, 0)),
        ("Some.test_it", "failed", "", (0, 1, 0, 0, 0)),
        ("Some.test_it", "hung", "", (0, 1, 0, 0, 0)),
        ("Some.test_it", "skipped", "not here, there", (0, 0, 0, 0, 0)),
        ("Some.test_it", "skipped", "needs a thing", (0, 1, 0, 0, 0)),
        ("Some.test_differs", "failed", "", (0, 0, 1, 0, 0)),
        ("Some.test_differs", "passed", "", (0, 0, 0, 1, 0)),
        ("Some.test_differs", "hung", "", (0, 0, 0, 1, 0)),
        ("Private.test_it", "failed", "", (0, 0, 0, 0, 1)),
    ],
)
def test_verdicts_are_sorted(
    book: Book, tmp_path: Path, name: str, outcome: str, why: str, expected: tuple[int, ...]
) -> None:
    assert counts(noted(book, tmp_path, name, outcome, why)) == expected


def test_a_run_is_good_if_something_passed_and_nothing_failed_or_is_stale(book: Book, tmp_path: Path) -> None:
    assert not book.good
    assert noted(book, tmp_path, "Some.test_it", "passed").good
    assert noted(book, tmp_path, "Some.test_differs", "failed").good
    assert not noted(book, tmp_path, "Some.test_differs", "passed").good


def test_some_tests_are_not_run(book: Book) -> None:
    names = [f"fork/Some.test_{name}" for name in ("it", "unfit", "slow")]
    assert [book.runs(name) for name in names] == [True, False, False]
    later = Book("3.13", quick=False)
    assert all(map(later.runs, names))


# ---- the data files --------------------------------------------------------------------------


def test_every_entry_has_a_reason_and_few_tests_differ() -> None:
    expected = verdicts.read("expected.toml")
    assert len(expected) <= 10
    for entry in [*expected, *verdicts.read("exempt.toml")]:
        assert entry.patterns
        assert len(entry.reason.split()) > 2 or entry.kind == "skip"
    assert {entry.kind for entry in verdicts.read("exempt.toml")} == {"internal", "unfit", "slow", "skip"}
    assert replace(expected[0], pythons=("2.7",)).covers("any", "3.11") is False
