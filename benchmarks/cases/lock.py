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


CASE = Case(
    name="lock",
    title="Lock taken and given, uncontended",
    unit="ns",
    operations=500_000,
    contenders={
        "procession Lock": lambda operations: taken_and_given(procession.Lock(), operations),
        "multiprocessing Lock": lambda operations: taken_and_given(multiprocessing.Lock(), operations),
        "threading.Lock": lambda operations: taken_and_given(threading.Lock(), operations),
    },
    floor="threading.Lock",
    target=100,
)
