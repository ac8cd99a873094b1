"""What leaves a worker besides plain results: what it prints, and results that kill it."""

import os
import signal
import sys
from typing import Any

import pytest

from procession.errors import WorkerLostError
from tests.kit import eventually
from tests.pools import LONG, pid


@pytest.mark.parametrize("error", [BrokenPipeError, SystemExit])
def test_a_worker_lives_on_though_what_tasks_print_cannot_be_flushed(ctx: Any, error: Any) -> None:
    with ctx.Pool(1) as pool:
        first = pool.apply(put_there, (error,))
        for _ in range(3):
            assert eventually(lambda: pool.apply(flushes) > 0)
        assert pool.apply(pid) == first
        pool.apply(put_back)
    pool.join()


class Unflushed:
    flushes = 0

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def write(self, _: str) -> None:
        pass

    def flush(self) -> None:
        self.flushes += 1
        raise self.error("deliberate")


def put_there(error: type[BaseException]) -> int:
    sys.stdout = Unflushed(error)  # type: ignore[assignment]
    return os.getpid()


def flushes() -> int:
    assert isinstance(sys.stdout, Unflushed)
    found, sys.stdout.flushes = sys.stdout.flushes, 0
    return found


def put_back() -> None:
    sys.stdout = sys.__stdout__


# ---- results that kill -----------------------------------------------------------------------


class Killer:
    def __reduce__(self) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it outlived SIGKILL")


def killer_on_three(x: int) -> Any:
    return Killer() if x == 3 else x


@pytest.mark.parametrize("chunksize", [None, 1, 50])
def test_a_result_whose_pickling_kills_is_the_only_one_that_is_lost(ctx: Any, chunksize: int | None) -> None:
    with ctx.Pool(2) as pool:
        result = pool.map_async(killer_on_three, range(100), chunksize)
        with pytest.raises(WorkerLostError, match="item 3"):
            result.get(LONG)
        assert [i for i, value in enumerate(result._value) if value != i] == [3]
        found = pool.imap(killer_on_three, range(30), chunksize or 1)
        assert [found.next(LONG) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(WorkerLostError, match="item 3"):
            found.next(LONG)
        assert list(found) == list(range(4, 30))
    pool.join()
