"""A lock that nobody else wants, taken and given."""

import multiprocessing
import threading
import timeit
from typing import Any

import procession
from benchmarks.harness import Case


def taken_and_given(lock: Any, operations: int) -> float:
    """Nanoseconds for both calls together."""
    timer = timeit.Timer("acquire(); release()", globals={"acquire": lock.acquire, "release": lock.release})
    return timer.timeit(operations) / operations * 1e9


def called_and_called(operations: int) -> float:
    """Two calls of a method in C that has nothing to do."""
    timer = timeit.Timer("nothing(); nothing()", globals={"nothing": [].clear})
    return timer.timeit(operations) / operations * 1e9


CASE = Case(
    name="lock",
    title="Lock taken and given, uncontended",
    unit="ns",
    operations=500_000,
    contenders={
        "procession Lock": lambda operations: taken_and_given(procession.Lock(), operations),
        "multiprocessing Lock": lambda operations: taken_and_given(multiprocessing.Lock(), operations),
        "threading.Lock": lambda operations: taken_and_given(threading.Lock(), operations),
        "two empty calls": called_and_called,
    },
    floor="two empty calls",
    target=100,
)
