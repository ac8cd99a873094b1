"""Every case can be asked: of us, of the floor, and of the stdlib, a few operations each."""

import subprocess
import sys

import pytest

from benchmarks.cases import CASES
from benchmarks.harness import FLOOR, OURS, Case
from benchmarks.run import environment
from tools.paths import ROOT

QUICK = [case for case in CASES if case.name not in {"flat", "workers", "idle", "import", "tail"}]
BIG = {"array-100mb": 1, "partial-50mb": 2}


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    operations = BIG.get(case.name, 4)
    for name in {OURS, FLOOR, "multiprocessing"} & set(case.contenders):
        command = [sys.executable, "-m", "benchmarks.one", case.name, name, str(operations)]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        value = float(done.stdout)
        assert value > 0 or case.unit == "MB"
