"""Integers, each pickled on its own, from one process to another."""

import multiprocessing
import pickle
import time
from typing import Any

import procession
from benchmarks.harness import Case


def _produce(queue: Any, operations: int) -> None:
    for number in range(operations + 1):
        queue.put(number)


def one_way(package: Any, operations: int) -> float:
    """The rate at which this process receives what another sends."""
    context = package.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_produce, args=(queue, operations))
    child.start()
    assert queue.get() == 0  # it runs now
    begin = time.perf_counter()
    for number in range(1, operations + 1):
        assert queue.get() == number
    seconds = time.perf_counter() - begin
    child.join()
    queue.close()
    return operations / seconds


def pickled(operations: int) -> float:
    """The pickling alone."""
    begin = time.perf_counter()
    for number in range(operations):
        assert pickle.loads(pickle.dumps(number)) == number
    return operations / (time.perf_counter() - begin)


CASE = Case(
    name="simple_queue",
    title="SimpleQueue, integers one way",
    unit="a second",
    operations=200_000,
    contenders={
        "procession SimpleQueue": lambda operations: one_way(procession, operations),
        "multiprocessing SimpleQueue": lambda operations: one_way(multiprocessing, operations),
        "pickling in one process": pickled,
    },
    floor="pickling in one process",
    higher_is_better=True,
    target=1_000_000,
)
