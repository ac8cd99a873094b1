"""Small tasks by the thousand: what a pool costs where the work costs nothing."""

import pickle
import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.harness import BEST, FLOOR, Case, Contender
from benchmarks.pools import WORKERS, offering
from benchmarks.tasks import nothing, sleep


def timed(kind: type[Any], work: Callable[[Any, int], None], operations: int) -> float:
    """Seconds an operation in a pool that has answered before."""
    pool = kind()
    try:
        list(pool.map(nothing, range(100), 1))
        begin = time.perf_counter()
        work(pool, operations)
        return (time.perf_counter() - begin) / operations
    finally:
        pool.end()


def contest(verb: str, work: Callable[[Any, int], None], floor: Contender | None) -> dict[str, Contender]:
    """Everybody who has the verb."""

    def contender(kind: type[Any]) -> Contender:
        return lambda operations: timed(kind, work, operations)

    found = {name: contender(kind) for name, kind in offering(verb).items()}
    return found | ({FLOOR: floor} if floor else {})


def apply(pool: Any, operations: int) -> None:
    for number in range(operations):
        assert pool.apply(nothing, number) == number


def check(found: Iterable[int], operations: int) -> None:
    assert sum(found) == operations * (operations - 1) // 2


def map_singly(pool: Any, operations: int) -> None:
    check(pool.map(nothing, range(operations), 1), operations)


def map_by_default(pool: Any, operations: int) -> None:
    check(pool.map(nothing, range(operations), None), operations)


def imap(pool: Any, operations: int) -> None:
    check(pool.imap(nothing, range(operations)), operations)


def imap_unordered(pool: Any, operations: int) -> None:
    check(pool.imap_unordered(nothing, range(operations)), operations)


def each(pool: Any, operations: int) -> None:
    check(pool.each(nothing, range(operations)), operations)


def hand_over(operations: int) -> float:
    """There and back through two bare rings."""
    from .pipes import ring

    return ring(operations)


def pickled(operations: int) -> float:
    """Each number and its answer pickled on their own, in one process."""
    begin = time.perf_counter()
    for number in range(operations):
        pickle.loads(pickle.dumps(nothing(pickle.loads(pickle.dumps(number)))))
    return (time.perf_counter() - begin) / operations


def called(operations: int) -> float:
    """A loop in one process."""
    begin = time.perf_counter()
    check([nothing(number) for number in range(operations)], operations)
    return (time.perf_counter() - begin) / operations


TAIL = [0.002] * 160 + [0.06] * 16
"""Short ones first: who cuts the list into equal parts leaves one worker with all long ones."""


def over_the_ideal(kind: type[Any], operations: int) -> float:
    """Time for the tasks in ascending order, over that of workers without a pause."""
    tasks = TAIL * operations
    pool = kind()
    try:
        list(pool.map(nothing, range(100), 1))
        begin = time.perf_counter()
        list(pool.map(sleep, tasks, None))
        return (time.perf_counter() - begin) / (sum(tasks) / WORKERS)
    finally:
        pool.end()


def ascending() -> dict[str, Contender]:
    def contender(kind: type[Any]) -> Contender:
        return lambda operations: over_the_ideal(kind, operations)

    return {name: contender(kind) for name, kind in offering("map").items()}


CASES = [
    Case("apply", "pool.apply there and back", contest("apply", apply, hand_over), 2_000, targets={BEST: 10}),
    Case(
        "map-singly",
        "map, empty tasks, chunksize=1",
        contest("map", map_singly, pickled),
        20_000,
        targets={"joblib": 1.2, "multiprocessing": 8},
    ),
    Case(
        "map-default",
        "map, empty tasks, default chunks",
        contest("map", map_by_default, called),
        200_000,
        targets={BEST: 1},
    ),
    Case("imap", "imap, empty tasks", contest("imap", imap, pickled), 20_000, targets={BEST: 1.2}),
    Case(
        "imap-unordered",
        "imap_unordered, empty tasks",
        contest("imap_unordered", imap_unordered, pickled),
        20_000,
        targets={"multiprocessing": 6},
    ),
    Case(
        "apply-async",
        "apply_async for each, then get",
        contest("each", each, pickled),
        20_000,
        targets={BEST: 6},
    ),
    Case(
        "tail",
        "map over tasks of 2 and 60 ms, ascending: time over the ideal",
        ascending(),
        unit="x",
        limit=1.05,
    ),
]
