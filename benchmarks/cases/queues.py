"""Items through a queue, one way."""

import pickle
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.harness import BEST, FLOOR, Case, Contender
from benchmarks.pairs import context, everybody, running, seconds

Make = Callable[[int], Any]


def number(index: int) -> int:
    return index


def ten_kilobytes(index: int) -> bytes:
    return bytes([index % 256]) * 10_000


def megabyte(index: int) -> bytes:
    return bytes([index % 256]) * 1_000_000


def new_queue(package: str) -> Any:
    """Wide enough for all that is on its way."""
    if package == "faster-fifo":
        return import_module("faster_fifo").Queue(max_size_bytes=64 << 20)
    return context(package).Queue()


def produce(queue: Any, make: Make, items: int) -> None:
    """A first one to say that this process runs, then what is measured."""
    patience = {"timeout": 3600.0} if type(queue).__module__ == "faster_fifo" else {}
    for index in range(items + 1):
        queue.put(make(index), **patience)


def consume(queue: Any, items: int) -> None:
    patience = {"timeout": 3600.0} if type(queue).__module__ == "faster_fifo" else {}
    for _ in range(items):
        queue.get(**patience)


def one_to_one(package: str, make: Make, operations: int) -> float:
    queue = new_queue(package)
    with running(_processes(package), produce, queue, make, operations):
        consume(queue, 1)
        return seconds(lambda: consume(queue, operations)) / operations


def two_to_two(package: str, make: Make, operations: int) -> float:
    """Two produce; this process and another consume the half each."""
    queue, half = new_queue(package), operations // 2
    processes = _processes(package)

    producers = running(processes, produce, queue, make, half - 1, times=2)

    def whole() -> None:
        with producers, running(processes, consume, queue, half):
            consume(queue, half)

    return seconds(whole) / operations


def _processes(package: str) -> str:
    return "multiprocessing" if package == "faster-fifo" else package


def pickled(make: Make) -> Contender:
    """The pickling alone, in one process."""

    def floor(operations: int) -> float:
        def work() -> None:
            for index in range(operations):
                pickle.loads(pickle.dumps(make(index), 5))

        return seconds(work) / operations

    return floor


def contest(work: Callable[[str, Make, int], float], make: Make) -> dict[str, Contender]:
    packages = everybody(lambda package, operations: work(package, make, operations))
    fifo = {"faster-fifo": lambda operations: work("faster-fifo", make, operations)}
    return packages | fifo | {FLOOR: pickled(make)}


CASES = [
    Case("queue-1-1", "Queue, one to one, integers", contest(one_to_one, number), 100_000, targets={BEST: 4}),
    Case("queue-2-2", "Queue, two to two, integers", contest(two_to_two, number), 100_000, targets={BEST: 3}),
    Case(
        "queue-10kb", "Queue, items of 10 KB", contest(one_to_one, ten_kilobytes), 30_000, targets={BEST: 2}
    ),
    Case("queue-1mb", "Queue, items of 1 MB", contest(one_to_one, megabyte), 500, targets={BEST: 4}),
]
