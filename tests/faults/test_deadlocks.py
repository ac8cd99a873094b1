"""Circles of waits: one of them is told, the others go on; and where there is none, nobody is told."""

import os
import random
import signal
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from procession.errors import DeadlockError, OwnerDiedError
from procession.synchronize import Condition, Event, Lock, RLock, Semaphore
from tests.kit import eventually
from tests.kit.running import LONG, end, in_thread, killed, start

SECONDS = float(os.environ.get("SECONDS", "4"))
SEED = int(os.environ.get("SEED", os.getpid()))
STANDS = 1.6
"""Seconds in which a circle that may be opened from outside would have been found."""


# ---- circles ---------------------------------------------------------------------------------


def enter(mine: Any, wanted: Any) -> None:
    with mine.lock:
        mine.wait()
        with wanted.lock:
            pass


def acquire(mine: Any, wanted: Any) -> None:
    mine.lock.acquire()
    try:
        mine.wait()
        wanted.lock.acquire()
        wanted.lock.release()
    finally:
        mine.lock.release()


class Seat:
    """A lock, and what its taker waits for before it wants another."""

    def __init__(self, kind: Any, taken: Any, go: Any) -> None:
        self.lock, self.taken, self.go = kind(), taken, go

    def wait(self) -> None:
        self.taken.release()
        assert self.go.wait(LONG)


def table(kind: Any, count: int) -> list[Seat]:
    taken, go = Semaphore(0), Event()
    return [Seat(kind, taken, go) for _ in range(count)]


def begin(seats: list[Seat]) -> None:
    for _ in seats:
        assert seats[0].taken.acquire(timeout=LONG)
    seats[0].go.set()


def sit(way: Any, mine: Any, wanted: Any, errors: Any, passed: Any) -> None:
    try:
        way(mine, wanted)
        passed.release()
    except DeadlockError as error:
        errors.put(error)


@pytest.mark.parametrize("way", [enter, acquire])
@pytest.mark.parametrize("kind", [Lock, RLock])
@pytest.mark.parametrize("count", [2, 3])
def test_one_of_a_circle_is_told_and_the_others_go_on(ctx: Any, way: Any, kind: Any, count: int) -> None:
    seats, errors, passed = table(kind, count), ctx.Queue(), Semaphore(0)
    processes = [
        start(ctx, sit, way, seats[place], seats[(place + 1) % count], errors, passed)
        for place in range(count)
    ]
    begin(seats)
    error = errors.get(timeout=LONG)
    end(*processes)
    assert passed.get_value() == count - 1
    assert errors.empty()
    pids = [process.pid for process in processes]
    assert sorted(error.pids) == sorted(pids)
    for seat, pid in zip(seats, pids, strict=True):
        assert f"{pid}) holds" in str(error) or f"process {pid} holds" in str(error)
        assert f"waits for {kind.__name__} {seat.lock.handle:#x}" in str(error)
        assert not seat.lock.locked()
    assert ("use a Semaphore" in str(error)) is (way is acquire and kind is Lock)


def test_a_circle_of_threads_and_processes(ctx: Any) -> None:
    seats, errors, passed = table(Lock, 3), ctx.Queue(), Semaphore(0)
    process = start(ctx, sit, enter, seats[0], seats[1], errors, passed)
    threads = [
        in_thread(sit, enter, seats[place], seats[(place + 1) % 3], errors, passed) for place in (1, 2)
    ]
    begin(seats)
    error = errors.get(timeout=LONG)
    end(process)
    for thread in threads:
        thread.join()
    assert passed.get_value() == 2
    assert sorted(error.pids) == sorted([process.pid, os.getpid(), os.getpid()])
    assert "'MainProcess'" in str(error) or process.pid == error.pids[0]
    assert f"thread {threads[0].native_id}, holds" in str(error)


def test_who_enters_a_lock_twice_is_told() -> None:
    lock = Lock()
    with lock, pytest.raises(DeadlockError, match=f"holds Lock {lock.handle:#x} and waits for Lock"), lock:
        pass
    assert not lock.locked()


def test_who_holds_a_condition_and_its_lock_twice_is_told() -> None:
    cond = Condition(Lock())
    with cond, pytest.raises(DeadlockError), cond:
        pass
    assert cond.acquire(timeout=0)


def test_a_circle_that_is_met_again_is_told_again() -> None:
    lock = Lock()
    with lock:
        for _ in range(3):
            with pytest.raises(DeadlockError):
                lock.__enter__()


def wait_within(lock: Any, cond: Any, waiting: Any, ended: list[Any]) -> None:
    try:
        with lock, cond:
            waiting.set()
            cond.wait(0.3)
    except DeadlockError as error:
        ended.append(error)


def take_within(lock: Any, cond: Any, waiting: Any, ended: list[Any]) -> None:
    assert waiting.wait(LONG)
    try:
        with cond, lock:
            pass
    except DeadlockError as error:
        ended.append(error)


@pytest.mark.parametrize("kind", [Lock, RLock])
@pytest.mark.parametrize("order", [[wait_within, take_within], [take_within, wait_within]])
def test_who_takes_a_condition_again_is_not_told_but_the_other(kind: Any, order: list[Any]) -> None:
    lock, cond, waiting, ended = kind(), Condition(kind()), Event(), []
    threads = [in_thread(work, lock, cond, waiting, ended) for work in order]
    for thread in threads:
        thread.join()
    assert [error.pids for error in ended] == [(os.getpid(), os.getpid())]
    told = threads[order.index(take_within)].native_id
    assert str(ended[0]).startswith(f"deadlock: process 'MainProcess' ({os.getpid()}), thread {told},")
    assert not lock.locked()
    assert not cond._lock.locked()


def take_in_handler(cond: Any, other: Any, waiting: Any, errors: Any, passed: Any) -> None:
    signal.signal(signal.SIGUSR1, lambda *_: other.acquire())
    cond.acquire()
    waiting.release()
    try:
        assert cond.wait(LONG)
        cond.release()
        passed.release()
    except DeadlockError as error:
        errors.put(error)
    other.release()


@pytest.mark.parametrize("kind", [Lock, RLock])
def test_where_all_of_a_circle_want_a_condition_again_one_is_told(ctx: Any, kind: Any) -> None:
    # Who waits had all its locks before the others: only a handler can close such a circle.
    conds, waiting = [Condition(kind()) for _ in range(2)], Semaphore(0)
    errors, passed = ctx.Queue(), Semaphore(0)
    processes = [start(ctx, take_in_handler, *pair, waiting, errors, passed) for pair in (conds, conds[::-1])]
    for _ in conds:
        assert waiting.acquire(timeout=LONG)
    assert eventually(lambda: all(len(cond._waiters) == 1 for cond in conds))
    for cond in conds:
        with cond:
            pass  # given back: they wait
    for process in processes:
        os.kill(process.pid, signal.SIGUSR1)
    assert eventually(lambda: all(cond._lock.locked() for cond in conds))
    for cond in conds:
        cond._waiters.notify(1)
    error = errors.get(timeout=LONG)
    end(*processes)
    assert sorted(error.pids) == sorted(process.pid for process in processes)
    assert (passed.get_value(), errors.empty()) == (1, True)
    assert not any(cond._lock.locked() for cond in conds)


# ---- no circles ------------------------------------------------------------------------------


def give_back_late(lock: Any, waiting: Any) -> None:
    assert waiting.wait(LONG)
    time.sleep(STANDS)
    lock.release()


def test_a_lock_may_be_a_signal_from_another_process(ctx: Any) -> None:
    lock, waiting = Lock(), Event()
    lock.acquire()
    process = start(ctx, give_back_late, lock, waiting)
    waiting.set()
    assert lock.acquire()
    end(process)


def wait_for_signals(mine: Seat, other: Seat) -> None:
    mine.lock.acquire()
    mine.wait()
    other.lock.acquire()


def test_a_lock_that_others_gave_back_once_is_a_signal(ctx: Any) -> None:
    seats = table(Lock, 2)
    for seat in seats:
        seat.lock.acquire()
        in_thread(seat.lock.release).join()
    processes = [start(ctx, wait_for_signals, *order) for order in (seats, seats[::-1])]
    begin(seats)
    # Each has one and waits for the other's: a circle, but for us.
    time.sleep(STANDS)
    for seat in seats:
        seat.lock.release()
    end(*processes)


def test_who_waits_with_a_time_limit_is_in_no_circle(ctx: Any) -> None:
    first, second, held = Lock(), Lock(), Event()
    with first:
        process = start(ctx, hold_and_wait, second, first, held, STANDS)
        assert held.wait(LONG)
        assert second.acquire()
    end(process)


def hold_and_wait(mine: Any, wanted: Any, held: Any, timeout: float | None) -> None:
    with mine:
        held.set()
        if wanted.acquire(timeout=timeout):
            wanted.release()


def test_who_is_killed_in_a_circle_is_a_dead_holder(ctx: Any) -> None:
    first, second, held = Lock(), Lock(), Event()
    first.acquire()
    process = start(ctx, hold_and_wait, second, first, held, None)
    assert held.wait(LONG)
    killer = threading.Timer(0.2, os.kill, [process.pid, signal.SIGKILL])
    killer.start()
    with pytest.raises(OwnerDiedError) as caught:
        second.acquire()
    killer.join()
    process.join(LONG)
    assert (caught.value.pid, caught.value.name) == (process.pid, process.name)
    assert second.acquire(timeout=0)


def test_a_stopped_holder_is_waited_for(ctx: Any) -> None:
    first, second, held = Lock(), Lock(), Event()
    with first:
        process = start(ctx, hold_and_wait, second, first, held, LONG)
        assert held.wait(LONG)
        os.kill(process.pid, signal.SIGSTOP)
    threading.Timer(1.0, os.kill, [process.pid, signal.SIGCONT]).start()
    with second:
        pass
    end(process)


# ---- by chance -------------------------------------------------------------------------------


def orderly(locks: list[Any], signals: list[Any], seed: float, until: float) -> None:
    """Take locks in their order without a limit, in any order with one; give signals to whoever waits."""
    chance = random.Random(seed)
    while time.monotonic() < until:
        some = chance.sample(range(len(locks)), 2)
        limited = chance.random() < 0.3
        taken = []
        for place in some if limited else sorted(some):
            if locks[place].acquire(timeout=chance.random() * 0.2 if limited else None):
                taken.append(place)
            time.sleep(chance.random() ** 4 * 0.2)
        for place in chance.sample(taken, len(taken)):
            locks[place].release()
        signals_of(signals, chance)


def signals_of(signals: list[Any], chance: random.Random) -> None:
    lock = chance.choice(signals)
    # Given though it was not taken, or taken by one that has ended.
    with suppress(ValueError, OwnerDiedError):
        if chance.random() < 0.5:
            lock.acquire(timeout=0.1)
        else:
            lock.release()


def work(locks: list[Any], signals: list[Any], seed: int, until: float, failed: Any) -> None:
    """Two threads; `failed` counts what they raised."""

    def run(number: int) -> None:
        try:
            orderly(locks, signals, seed * 2 + number, until)
        except BaseException:
            failed.release()
            raise

    for thread in [in_thread(run, number) for number in range(2)]:
        thread.join()


@pytest.mark.limit(SECONDS + 60)
@pytest.mark.parametrize("kind", [Lock, RLock])
def test_nobody_is_told_of_a_circle_that_is_none(ctx: Any, kind: Any) -> None:
    print(f"SEED={SEED} SECONDS={SECONDS}")
    chance, failed = random.Random(SEED), Semaphore(0)
    locks, signals = [kind() for _ in range(5)], [Lock() for _ in range(3)]
    until = time.monotonic() + SECONDS
    processes = [start(ctx, work, locks, signals, SEED + number, until, failed) for number in range(4)]
    while time.monotonic() < until:
        stopped = chance.choice(processes)
        os.kill(stopped.pid, signal.SIGSTOP)
        time.sleep(chance.random() ** 3 * 0.7)
        os.kill(stopped.pid, signal.SIGCONT)
    end(*processes)
    assert failed.get_value() == 0
    assert not any(lock.locked() for lock in locks)


def disorderly(locks: list[Any], rounds: int, seed: int, told: Any) -> None:
    chance = random.Random(seed)
    while rounds:
        first, second = chance.sample(locks, 2)
        try:
            with first:
                time.sleep(chance.random() * 0.01)
                with second:
                    rounds -= 1
        except DeadlockError:
            told.release()


@pytest.mark.parametrize("kind", [Lock, RLock])
def test_who_takes_locks_in_any_order_gets_on(ctx: Any, kind: Any) -> None:
    locks, told = [kind() for _ in range(3)], Semaphore(0)
    processes = [start(ctx, disorderly, locks, 25, SEED + number, told) for number in range(3)]
    end(*processes)
    assert not any(lock.locked() for lock in locks)
    print(f"{told.get_value()} circles")


def test_a_killed_one_leaves_its_place_to_others(ctx: Any) -> None:
    seats, errors, passed = table(RLock, 2), ctx.Queue(), Semaphore(0)
    with seats[0].lock:
        waiter = start(ctx, acquire, seats[1], seats[0])
        assert seats[0].taken.acquire(timeout=LONG)
        seats[0].go.set()
        time.sleep(0.2)
        killed(waiter)
    with pytest.raises(OwnerDiedError):
        seats[1].lock.acquire()
    seats[0].go.clear()
    processes = [start(ctx, sit, enter, *pair, errors, passed) for pair in (seats, seats[::-1])]
    begin(seats)
    assert isinstance(errors.get(timeout=LONG), DeadlockError)
    end(*processes)
    assert eventually(lambda: passed.get_value() == 1)
