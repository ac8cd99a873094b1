"""Libraries: each program compares work done alone with the same work in processes."""

from pathlib import Path

import pytest

from tests.kit import run_python

PROGRAMS = Path(__file__).with_name("programs")
LAUNCHER = ("-W", "ignore", "-m", "procession")

ALL = sorted(path.stem for path in PROGRAMS.glob("*.py") if path.stem != "client")

OF_ONE_METHOD = {"torch_spawn": "spawn"}
"""Of those that choose the start method themselves: the one to run them with, once."""

TAKE_A_CONTEXT = [
    name for name in ALL if "context()" in (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")
]


def test_there_are_a_dozen() -> None:
    assert len(ALL) >= 12
    assert set(TAKE_A_CONTEXT) < set(ALL)


@pytest.mark.limit(180)
@pytest.mark.parametrize("name", ALL)
def test_under_the_launcher(name: str, method: str) -> None:
    """The library imports procession for multiprocessing."""
    if OF_ONE_METHOD.get(name, method) != method:
        return
    result = run_python(*LAUNCHER, str(PROGRAMS / f"{name}.py"), method, limit=150)
    assert result.check().stdout == "equal\n"


@pytest.mark.limit(180)
@pytest.mark.parametrize("name", TAKE_A_CONTEXT)
def test_given_a_context(name: str, method: str) -> None:
    """The library goes on to import the stdlib's, and is handed objects of ours."""
    result = run_python("-W", "ignore", str(PROGRAMS / f"{name}.py"), method, "ours", limit=150)
    assert result.check().stdout == "equal\n"
