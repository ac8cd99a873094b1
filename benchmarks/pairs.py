"""Two processes of a library, forked, and the package's objects between them."""

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

PACKAGES = ["procession", "multiprocessing", "billiard"]
"""Who has processes, queues, pipes and locks under the stdlib's names."""

__all__ = ["PACKAGES", "context", "each", "everybody", "running", "seconds"]


def context(package: str, method: str = "fork") -> Any:
    """Its context of a start method."""
    return import_module(package).get_context(method)


def everybody(work: Callable[[str, int], float]) -> dict[str, Callable[[int], float]]:
    """One contender a package."""

    def contender(package: str) -> Callable[[int], float]:
        return lambda operations: work(package, operations)

    return {package: contender(package) for package in PACKAGES}


class running:
    """Children that run `target(*args)` each, for the length of the block."""

    def __init__(self, package: str, target: Callable[..., object], *args: Any, times: int = 1) -> None:
        make = context(package).Process
        self.children = [make(target=target, args=args) for _ in range(times)]

    def __enter__(self) -> None:
        for child in self.children:
            child.start()

    def __exit__(self, *error: object) -> None:
        for child in self.children:
            child.join()


def each(work: Callable[[], object], operations: int) -> float:
    """Seconds a call."""
    begin = time.perf_counter()
    for _ in range(operations):
        work()
    return (time.perf_counter() - begin) / operations


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
