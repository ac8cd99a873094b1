"""The repeated run of one test."""

from pathlib import Path

import pytest

from tests.kit import run_python

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("test", "status", "says"), [("assert True", 0, "5 passed"), ("assert False", 1, "1 failed")]
)
def test_a_test_is_run_so_many_times(tmp_path: Path, test: str, status: int, says: str) -> None:
    file = tmp_path / "test_some.py"
    file.write_text(f"def test_it():\n    {test}\n", encoding="utf-8")
    done = run_python("-m", "tools.stress", f"{file}::test_it", "5", cwd=ROOT)
    assert done.returncode == status, done.report()
    assert says in done.stdout


def test_a_name_is_asked_for() -> None:
    done = run_python("-m", "tools.stress", "", cwd=ROOT)
    assert done.returncode == 1
    assert "which test?" in done.stderr
