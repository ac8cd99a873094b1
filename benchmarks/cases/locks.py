"""Locks, events and values."""

import threading
from typing import Any

from benchmarks.harness import BEST, FLOOR, Case
from benchmarks.pairs import context, each, everybody, running, seconds


def take(lock: Any, times: int) -> None:
    acquire, release = lock.acquire, lock.release
    for _ in range(times):
        acquire()
        release()


def free(package: str, operations: int) -> float:
    lock = context(package).Lock()
    return seconds(lambda: take(lock, operations)) / operations


def thread_lock(operations: int) -> float:
    """A lock between threads."""
    return seconds(lambda: take(threading.Lock(), operations)) / operations


def _take_between(begin: Any, end: Any, lock: Any, times: int) -> float:
    begin.wait()

    def both() -> None:
        take(lock, times)
        end.wait()

    return seconds(both)


def contended(package: str, operations: int) -> float:
    """Each of two processes takes it so often; time from when both begin until both are done."""
    kind = context(package)
    work = kind.Barrier(2), kind.Barrier(2), kind.Lock(), operations // 2
    with running(package, _take_between, *work):
        return _take_between(*work) / operations


def _answer(there: Any, back: Any, times: int) -> None:
    for _ in range(times):
        there.wait()
        there.clear()
        back.set()


def event(package: str, operations: int) -> float:
    """Set here, seen there, set there, seen here."""
    kind = context(package)
    there, back = kind.Event(), kind.Event()

    def once() -> None:
        there.set()
        back.wait()
        back.clear()

    with running(package, _answer, there, back, operations + 1):
        once()
        return each(once, operations)


def _take_turns(begin: Any, changed: Any, turn: Any, mine: int, times: int) -> float:
    begin.wait()

    def once() -> None:
        with changed:
            while turn.value != mine:
                changed.wait()
            turn.value = 1 - mine
            changed.notify()

    return each(once, times)


def condition(package: str, operations: int) -> float:
    """Two processes have turns, and tell each other."""
    kind = context(package)
    work = kind.Barrier(2), kind.Condition(), kind.RawValue("i", 0)
    with running(package, _take_turns, *work, 1, operations):
        return _take_turns(*work, 0, operations)


def _meet(barrier: Any, times: int) -> float:
    barrier.wait()
    return each(barrier.wait, times)


def barrier(package: str, operations: int) -> float:
    """Two processes wait for each other again and again."""
    met = context(package).Barrier(2)
    with running(package, _meet, met, operations):
        return _meet(met, operations)


def count(value: Any, times: int) -> None:
    for _ in range(times):
        with value.get_lock():
            value.value += 1


def value(package: str, operations: int) -> float:
    shared = context(package).Value("i", 0)
    found = seconds(lambda: count(shared, operations)) / operations
    assert shared.value == operations
    return found


CASES = [
    Case(
        "lock",
        "Lock, free, taken and given",
        everybody(free) | {FLOOR: thread_lock},
        500_000,
        targets={BEST: 1},
    ),
    Case(
        "lock-contended",
        "Lock, wanted by two processes",
        everybody(contended),
        1_000_000,
        targets={BEST: 1.5},
    ),
    Case("event", "Event there and back", everybody(event), 3_000, targets={BEST: 10}),
    Case("condition", "Condition, notified there and back", everybody(condition), 3_000, targets={BEST: 1}),
    Case("barrier", "Barrier of two", everybody(barrier), 3_000, targets={BEST: 1}),
    Case("value", "Value += 1 under its lock", everybody(value), 100_000, targets={BEST: 2}),
]
