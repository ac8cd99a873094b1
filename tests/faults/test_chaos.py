"""A short one of the long runs, so that neither breaks unnoticed: see `make chaos` and `make soak`."""

import os

import pytest

from tests.kit import run_python

SEED = os.environ.get("SEED", str(os.getpid()))


@pytest.mark.limit(200)
def test_fifteen_seconds_of_chaos() -> None:
    result = run_python("-m", "tests.faults.chaos", "--seconds", "15", "--seed", SEED, limit=180).check()
    print(result.stdout)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.limit(200)
def test_a_few_seconds_of_chaos(method: str) -> None:
    options = ["--seconds", "5", "--seed", SEED, "--method", method]
    result = run_python("-m", "tests.faults.chaos", *options, limit=180).check()
    print(result.stdout)


@pytest.mark.limit(120)
def test_a_short_soak() -> None:
    run_python("-m", "tests.faults.soak", "--tasks", "20000", limit=100).check()
