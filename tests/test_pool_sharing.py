"""Short tasks travel many in a message: nobody waits for a neighbour, and each is done, whoever dies."""

import os
import signal
import time
from collections import Counter
from typing import Any

import pytest

from procession.errors import WorkerLostError
from tests.kit import eventually
from tests.pools import KINDS, LONG, make_pool, square, wait_for


def open_or_pass(item: tuple[str, int]) -> int:
    """Item 0 waits for the gate that item 5 opens."""
    gate, number = item
    if number == 0:
        wait_for(gate)
    elif number == 5:
        open(gate, "x", encoding="ascii").close()
    return number


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunksize", [1, 4, None])
def test_what_stands_behind_a_long_task_is_given_to_others(kind: str, chunksize: Any, tmp_path: Any) -> None:
    if kind == "threads" and chunksize is None:
        chunksize = 1  # the stdlib's chunks, which are one worker's
    with make_pool(kind, 2) as pool:
        items = [(str(tmp_path / "gate"), number) for number in range(400)]
        assert pool.map(open_or_pass, items, chunksize) == list(range(400))
    pool.join()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_the_same_for_who_takes_results_one_by_one(kind: str, name: str, tmp_path: Any) -> None:
    with make_pool(kind, 2) as pool:
        list(pool.imap(square, range(3000)))  # so short that they go together from now on
        items = [(str(tmp_path / "gate"), number) for number in range(400)]
        assert sorted(getattr(pool, name)(open_or_pass, items)) == list(range(400))
    pool.join()


def test_long_tasks_among_short_ones_are_shared(ctx: Any) -> None:
    with ctx.Pool(4) as pool:
        lengths = [0.0] * 500 + [0.05] * 16 + [0.0] * 500
        workers = pool.map(doze, lengths, 1)
    pool.join()
    long = Counter(worker for worker, length in zip(workers, lengths, strict=True) if length)
    assert len(long) > 1


def doze(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def run_once(item: tuple[str, int, int]) -> int:
    """Writes down that it ran; one of the items then kills its worker."""
    folder, number, deadly = item
    with open(f"{folder}/{number}", "ab", buffering=0) as file:
        file.write(b".")
    if number == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


@pytest.mark.parametrize("deadly", [0, 7, 399])
@pytest.mark.parametrize("chunksize", [1, 7])
def test_a_kill_in_the_middle_costs_the_one_task(
    ctx: Any, tmp_path: Any, chunksize: int, deadly: int
) -> None:
    with ctx.Pool(2) as pool:
        items = [(str(tmp_path), number, deadly) for number in range(400)]
        with pytest.raises(WorkerLostError, match=rf"run_once\(.*, {deadly}, {deadly}\)\), item {deadly}$"):
            pool.map(run_once, items, chunksize)
        assert pool.map(square, range(10)) == [i * i for i in range(10)]
    pool.join()
    runs = {int(file.name): file.stat().st_size for file in tmp_path.iterdir()}
    assert sorted(runs) == list(range(400))
    if chunksize == 1:
        assert runs[deadly] == 1


def test_any_worker_killed_at_any_moment_of_a_map(ctx: Any) -> None:
    """Each map gives all its results, or tells of a task that was lost; it never hangs."""
    kills = 0
    with ctx.Pool(3) as pool:
        while kills < 15:
            result = pool.map_async(square, range(20_000), 1 if kills % 2 else None)
            os.kill(pool._pool[kills % len(pool._pool)].pid, signal.SIGKILL)
            kills += 1
            try:
                assert result.get(LONG) == [i * i for i in range(20_000)]
            except WorkerLostError as error:
                assert "square(" in str(error)  # noqa: PT017
            assert eventually(lambda: len(pool._pool) == 3)
            assert pool.apply(square, (3,)) == 9
    pool.join()


def test_a_sudden_end_in_the_middle_of_a_map(ctx: Any) -> None:
    pool = ctx.Pool(2)
    pool.apply(square, (3,))
    result = pool.map_async(doze, [0.01] * 20_000, 1)
    pool.terminate()
    pool.join()
    with pytest.raises(Exception, match="terminated"):
        result.get(LONG)
