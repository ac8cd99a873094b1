"""The benchmarks run, in small."""

import json
from pathlib import Path

import pytest

from tests.kit import run_python

ROOT = Path(__file__).parents[2]


def test_every_case_runs_and_is_written_down(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    small = ["--scale", "0.01", "--repeats", "2", "--no-rust", "--json", str(file)]
    result = run_python("-m", "benchmarks.run", *small, cwd=ROOT).check()
    assert "16 bytes there and back" in result.stdout
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["machine"]["cores"] >= 1
    assert [case["name"] for case in found["cases"]] == ["ring", "simple_queue", "lock"]
    values = [value for case in found["cases"] for one in case["results"] for value in one["values"]]
    assert min(values) > 0


@pytest.mark.parametrize("name", ["nonsense"])
def test_an_unknown_case_is_refused(name: str) -> None:
    result = run_python("-m", "benchmarks.run", name, cwd=ROOT)
    assert result.returncode == 2
    assert "no such case: nonsense" in result.stderr
