"""The benchmarks run, in small."""

import json
from pathlib import Path

import pytest

from tests.kit import run_python

ROOT = Path(__file__).parents[2]


def test_what_is_measured_is_written_down(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    small = ["lock", "value", "--scale", "0.01", "--repeats", "2", "--json", str(file)]
    result = run_python("-m", "benchmarks.run", *small, cwd=ROOT).check()
    assert "| Lock, free, taken and given |" in result.stdout
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["machine"]["cores"] >= 1
    assert [case["name"] for case in found["cases"]] == ["lock", "value"]
    values = {one["contender"]: one["values"] for one in found["cases"][0]["results"]}
    assert {"procession", "multiprocessing", "floor"} <= set(values)
    assert all(len(some) == 2 and min(some) > 0 for some in values.values())


@pytest.mark.parametrize("name", ["nonsense"])
def test_an_unknown_case_is_refused(name: str) -> None:
    result = run_python("-m", "benchmarks.run", name, cwd=ROOT)
    assert result.returncode == 2
    assert "no such case: nonsense" in result.stderr
