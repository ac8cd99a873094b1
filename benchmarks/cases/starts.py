"""What it costs to begin and to end."""

import os
from typing import Any

from benchmarks.harness import BEST, FLOOR, Case, Contender
from benchmarks.pairs import context, each
from benchmarks.pools import Billiard, Classic, Futures, Loky, Mpire, Pebble, Procession
from benchmarks.tasks import nothing

STDLIB = "multiprocessing"


def start_and_join(package: str, method: str) -> Contender:
    """One process after the other; a server that stays is there already."""

    def contender(operations: int) -> float:
        kind = context(package, method)

        def once() -> None:
            process = kind.Process(target=nothing, args=(1,))
            process.start()
            process.join()
            assert process.exitcode == 0

        once()
        return each(once, operations)

    return contender


def bare_fork(operations: int) -> float:
    """The system's part alone."""

    def once() -> None:
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)

    return each(once, operations)


def pool_of_two(kind: type[Any], method: str) -> Contender:
    """Made, asked once, closed and joined."""

    def contender(operations: int) -> float:
        def once() -> None:
            pool = kind(2, method)
            assert list(pool.map(nothing, [1], 1)) == [1]
            pool.end()

        once()
        return each(once, operations)

    return contender


def pools(method: str, *kinds: type[Any]) -> dict[str, Contender]:
    return {kind.package: pool_of_two(kind, method) for kind in kinds}


def processes(method: str, *more: str) -> dict[str, Contender]:
    return {package: start_and_join(package, method) for package in ("procession", STDLIB, *more)}


CASES = [
    Case(
        "process-fork",
        "Process, start and join, fork",
        processes("fork", "billiard") | {FLOOR: bare_fork},
        100,
        targets={STDLIB: 1},
    ),
    Case(
        "process-forkserver",
        "Process, start and join, forkserver",
        processes("forkserver") | {FLOOR: bare_fork},
        100,
        targets={STDLIB: 5},
    ),
    Case(
        "process-spawn",
        "Process, start and join, spawn",
        processes("spawn") | {FLOOR: bare_fork},
        10,
        targets={STDLIB: 1.2},
    ),
    Case(
        "pool-fork",
        "pool of two: start, one result, shut down; fork",
        pools("fork", Procession, Classic, Futures, Billiard, Mpire, Pebble),
        20,
        targets={BEST: 1},
    ),
    Case(
        "pool-forkserver",
        "pool of two: start, one result, shut down; forkserver",
        pools("forkserver", Procession, Classic, Futures, Loky, Mpire, Pebble),
        10,
        targets={STDLIB: 3},
    ),
]
