"""What is told of a manager that is gone."""

import os
from multiprocessing import process as registry
from typing import Any

import pytest

from procession.managers._link import _Server, fate
from tests.kit import eventually


@pytest.mark.parametrize(
    ("exitcode", "text"),
    [
        (None, "is gone: it was shut down or killed"),
        (3, "ended with exit code 3"),
        (-9, "was killed by SIGKILL"),
        (-40, "was killed by signal 40"),
    ],
)
def test_fate(exitcode: int | None, text: str) -> None:
    assert fate(exitcode) == text


def test_a_manager_that_hangs_up_and_lives() -> None:
    assert _Server("a manager", os.getpid()).fate().startswith("runs, but has hung up")


def test_a_manager_whose_process_another_thread_closes(ctx: Any) -> None:
    process = ctx.Process(target=int)
    process.start()
    pid = process.pid
    assert eventually(lambda: not process.is_alive())
    process.close()
    # As it is seen by a thread that got hold of the children a moment before.
    registry._children.add(process)
    try:
        assert _Server("a manager", pid).fate() == "is gone: it was shut down or killed"
    finally:
        registry._children.discard(process)
