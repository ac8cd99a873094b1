"""A dictionary in a manager's process."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.harness import BEST, Case
from benchmarks.pairs import everybody, seconds


def manager(package: str) -> Any:
    """Started by fork."""
    found = import_module(f"{package}.managers").SyncManager(ctx=import_module(package).get_context("fork"))
    found.start()
    return found


def timed(package: str, work: Callable[[Any, int], None], operations: int) -> float:
    with manager(package) as running:
        shared = running.dict()
        work(shared, 10)
        return seconds(lambda: work(shared, operations)) / operations


def read(shared: Any, times: int) -> None:
    shared["key"] = 1
    for _ in range(times):
        assert shared["key"] == 1


def write(shared: Any, times: int) -> None:
    for number in range(times):
        shared["key"] = number


def reading(package: str, operations: int) -> float:
    return timed(package, read, operations)


def writing(package: str, operations: int) -> float:
    return timed(package, write, operations)


CASES = [
    Case("manager-read", "Manager().dict(), an item read", everybody(reading), 5_000, targets={BEST: 3}),
    Case("manager-write", "Manager().dict(), an item written", everybody(writing), 5_000, targets={BEST: 3}),
]
