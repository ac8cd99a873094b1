"""Big data to a worker and back."""

import pickle
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.harness import BEST, FLOOR, Case, Contender
from benchmarks.pools import offering
from benchmarks.tasks import nothing, pick, same, size

MEGABYTE = 1_000_000
TWICE = 2
"""There and back."""


def floats(size: int) -> Any:
    """An array of so many bytes: 0, 1, 2 …"""
    import numpy as np  # a peer's folder has it, the environment that starts the measurements need not

    return np.arange(size / 8)


Make = Callable[[int], Any]
Work = Callable[[Any, Any], None]


def timed(kind: type[Any], make: Make, work: Work, operations: int) -> float:
    """Seconds an operation; the second round counts, since programs do it more than once.

    Each has data of its own, whose making is not counted: to fill fresh memory takes as long as to send it.
    """
    pool = kind()
    try:
        list(pool.map(nothing, range(100), 1))
        work(pool, make(operations))
        data = make(operations)
        begin = time.perf_counter()
        work(pool, data)
        return (time.perf_counter() - begin) / operations
    finally:
        pool.end()


def contest(make: Make, work: Work, floor: Contender) -> dict[str, Contender]:
    """Everybody who has `map`."""

    def contender(kind: type[Any]) -> Contender:
        return lambda operations: timed(kind, make, work, operations)

    return {name: contender(kind) for name, kind in offering("map").items()} | {FLOOR: floor}


def one_array(pool: Any, arrays: list[Any]) -> None:
    """The same again and again, one at a time."""
    for array in arrays:
        (found,) = pool.map(same, [array], 1)
        assert found[-1] == array[-1]


def many_arrays(pool: Any, arrays: list[Any]) -> None:
    """All at hand."""
    for number, found in enumerate(pool.map(same, arrays, 1)):
        assert found[0] == number


def bytes_there(pool: Any, items: list[bytes]) -> None:
    """Each item is its own object."""
    assert set(pool.map(size, items, 1)) == {10_000}


def carried(pool: Any, what: tuple[Any, int]) -> None:
    """A function that carries an array, many times."""
    data, operations = what
    assert sum(pool.map(partial(pick, data), range(operations), 1)) == operations * (operations - 1) / 2


def copied(size: int, times: int) -> Contender:
    """So many copies of so many bytes between warm pages."""

    def contender(operations: int) -> float:
        source, target = floats(size), floats(size)
        begin = time.perf_counter()
        for _ in range(operations * times):
            target[:] = source
        return (time.perf_counter() - begin) / operations

    return contender


def pickled(operations: int) -> float:
    """The bytes pickled and rebuilt, in one process."""
    item = bytes(10_000)
    begin = time.perf_counter()
    for _ in range(operations):
        pickle.loads(pickle.dumps(item, 5))
    return (time.perf_counter() - begin) / operations


def copied_once(operations: int) -> float:
    """50 MB to each of two workers, shared by all tasks."""
    return copied(50 * MEGABYTE, TWICE)(1) / operations


CASES = [
    Case(
        "array-100mb",
        "a 100 MB array to a worker and back",
        contest(
            lambda operations: [floats(100 * MEGABYTE)] * operations, one_array, copied(100 * MEGABYTE, TWICE)
        ),
        3,
        targets={BEST: 15},
    ),
    Case(
        "arrays-1mb",
        "100 arrays of 1 MB there and back, chunksize=1",
        contest(
            lambda operations: [floats(MEGABYTE) + number for number in range(operations)],
            many_arrays,
            copied(MEGABYTE, TWICE),
        ),
        100,
        targets={BEST: 8},
    ),
    Case(
        "bytes-10kb",
        "10 KB of bytes to a task, chunksize=1",
        contest(
            lambda operations: [bytes([number % 256]) * 10_000 for number in range(operations)],
            bytes_there,
            pickled,
        ),
        10_000,
        targets={BEST: 1.2, "multiprocessing": 6},
    ),
    Case(
        "partial-50mb",
        "map of a partial that carries 50 MB, 200 tasks, chunksize=1",
        contest(lambda operations: (floats(50 * MEGABYTE), operations), carried, copied_once),
        200,
        targets={BEST: 1.5},
    ),
]
