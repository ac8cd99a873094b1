"""Conditions: who is woken, what a kill or a signal leaves."""

import multiprocessing.synchronize as std
import os
import signal
import threading
import time
from typing import Any

import pytest

from procession.errors import OwnerDiedError
from procession.synchronize import Condition, Lock, RLock, Semaphore
from tests.kit import eventually
from tests.kit.running import LONG, end, in_thread, interrupted, killed, start


def sleep_on(cond: Any, sleeping: Any, woken: Any, timeout: float | None = None) -> None:
    with cond:
        sleeping.release()
        if cond.wait(timeout):
            woken.release()


def asleep(cond: Any, sleeping: Any, count: int) -> None:
    """Until `count` sleep: each releases `sleeping` with the lock held, then waits."""
    for _ in range(count):
        assert sleeping.acquire(timeout=LONG)
    with cond:
        pass


def test_notify_wakes_so_many(ctx: Any) -> None:
    cond, sleeping, woken = Condition(), Semaphore(0), Semaphore(0)
    processes = [start(ctx, sleep_on, cond, sleeping, woken) for _ in range(2)]
    threads = [in_thread(sleep_on, cond, sleeping, woken) for _ in range(2)]
    asleep(cond, sleeping, 4)
    assert cond._sleeping_count.get_value() == 4
    for n, more in ((1, 1), (0, 0), (-3, 0), (2, 2)):
        with cond:
            cond.notify(n)
        for _ in range(more):
            assert woken.acquire(timeout=LONG)
        assert not woken.acquire(timeout=0.05)
    with cond:
        cond.notify_all()
        cond.notify()
    assert woken.acquire(timeout=LONG)
    end(*processes)
    for thread in threads:
        thread.join()
    assert cond._sleeping_count.get_value() == cond._woken_count.get_value() == 0
    assert cond._wait_semaphore.get_value() == 0


def test_a_notified_waiter_returns_true_and_another_false_in_time() -> None:
    cond, sleeping, woken = Condition(), Semaphore(0), Semaphore(0)
    with cond:
        began = time.monotonic()
        assert cond.wait(0.05) is False
        assert time.monotonic() - began >= 0.05
        assert cond.wait(0) is False
        assert cond.wait(-1) is False
    thread = in_thread(sleep_on, cond, sleeping, woken)
    asleep(cond, sleeping, 1)
    with cond:
        cond.notify_all()
    thread.join()
    assert woken.acquire(timeout=0)


@pytest.mark.parametrize("make", [Lock, RLock, lambda: std.Lock(ctx=multiprocessing_context())])
def test_a_condition_over_a_lock_that_is_given(make: Any) -> None:
    lock = make()
    cond = Condition(lock)
    assert cond.acquire()
    assert lock._semlock._is_mine()
    assert cond.wait(0.01) is False
    assert lock._semlock._is_mine()
    cond.release()


def multiprocessing_context() -> Any:
    import multiprocessing

    return multiprocessing.get_context()


def test_nonsense_in_the_lock_s_place_is_refused() -> None:
    with pytest.raises(TypeError, match="Lock or RLock"):
        Condition(threading.Lock())


def test_an_rlock_is_given_back_fully_and_taken_back_as_often() -> None:
    cond = Condition()

    def wake() -> None:
        with cond:
            cond.notify()

    with cond, cond, cond:
        thread = in_thread(wake)
        assert cond.wait(LONG)
        assert cond._lock._count() == 3
    thread.join()
    assert not cond._lock.locked()


def test_waiting_and_notifying_need_the_lock() -> None:
    cond = Condition()
    with pytest.raises(AssertionError, match="must acquire"):
        cond.wait()
    with pytest.raises(AssertionError, match="not owned"):
        cond.notify()
    with pytest.raises(AssertionError):
        cond.notify_all()


def test_wait_for_waits_for_the_predicate() -> None:
    cond, state = Condition(), [0]

    def step() -> None:
        for _ in range(4):
            with cond:
                state[0] += 1
                cond.notify()

    thread = in_thread(step)
    with cond:
        assert cond.wait_for(lambda: state[0] == 4, LONG)
        began = time.monotonic()
        assert not cond.wait_for(lambda: False, 0.05)
        assert time.monotonic() - began >= 0.05
    thread.join()


def test_a_killed_waiter_does_not_swallow_the_notification(ctx: Any) -> None:
    cond, sleeping, woken = Condition(), Semaphore(0), Semaphore(0)
    first = start(ctx, sleep_on, cond, sleeping, woken)
    asleep(cond, sleeping, 1)
    second = start(ctx, sleep_on, cond, sleeping, woken)
    asleep(cond, sleeping, 1)
    killed(first)
    with cond:
        cond.notify()
    assert woken.acquire(timeout=LONG)
    end(second)


def test_a_killed_waiter_is_not_counted(ctx: Any) -> None:
    cond, sleeping, woken = Condition(), Semaphore(0), Semaphore(0)
    process = start(ctx, sleep_on, cond, sleeping, woken)
    asleep(cond, sleeping, 1)
    assert cond._sleeping_count.get_value() == 1
    killed(process)
    assert cond._sleeping_count.get_value() == 0


def notify_and_die(cond: Any) -> None:
    cond.acquire()
    cond.notify()
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_waiter_learns_that_the_lock_s_holder_died_and_holds_the_lock(ctx: Any) -> None:
    cond = Condition()
    with cond:
        process = start(ctx, notify_and_die, cond)
        with pytest.raises(OwnerDiedError):
            cond.wait(LONG)
        assert cond._lock._is_mine()
    process.join()
    with cond:
        pass


def test_a_notification_with_an_error_is_handed_to_the_next(ctx: Any) -> None:
    cond, sleeping, woken = Condition(), Semaphore(0), Semaphore(0)
    with cond:
        # The main thread is first in the list; the helper second.
        helper = in_thread(sleep_on, cond, sleeping, woken)
        process = start(ctx, die_when_two_wait, cond)
        with pytest.raises(OwnerDiedError):
            cond.wait(LONG)
    assert woken.acquire(timeout=LONG)
    helper.join()
    process.join()


def die_when_two_wait(cond: Any) -> None:
    while True:
        with cond:
            if cond._sleeping_count.get_value() == 2:
                notify_and_die(cond)


def test_ctrl_c_in_a_wait_leaves_the_lock_held_and_the_list_clean() -> None:
    cond = Condition()
    with cond, cond:
        with interrupted():
            cond.wait()
        assert cond._lock._count() == 2
        assert cond._sleeping_count.get_value() == 0


class Bolt(Exception):  # noqa: N818
    """Thrown out of the blue by a signal handler."""


def strike(*_: Any) -> None:
    raise Bolt


def struck(after: float, wait: Any, timeout: float) -> list[bool]:
    """Call `wait`; `after` seconds from now a signal handler raises.  What it returned, if it did."""
    answers: list[bool] = []
    before = signal.signal(signal.SIGALRM, strike)
    try:
        signal.setitimer(signal.ITIMER_REAL, after)
        # Not an assignment, before which the signal could come.
        answers.extend(map(wait, [timeout]))
        while True:
            pass
    except Bolt:
        return answers
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_signal_at_any_instant_leaves_the_condition_whole() -> None:
    cond = Condition()
    for round_ in range(600):
        cond.acquire()
        struck(1e-6 * (round_ % 60 + 1), cond.wait, 0.0005)
        assert cond._lock._is_mine()
        assert cond._lock._count() == 1
        assert cond._sleeping_count.get_value() == 0
        cond.release()


def notify_when_somebody_waits(cond: Any) -> None:
    eventually(lambda: cond._sleeping_count.get_value() > 0)
    with cond:
        cond.notify()


def test_a_notification_struck_by_a_signal_is_not_lost() -> None:
    cond, sleeping, woken = Condition(), Semaphore(0), Semaphore(0)
    for round_ in range(150):
        with cond:
            helpers = [
                in_thread(sleep_on, cond, sleeping, woken, LONG),
                in_thread(notify_when_somebody_waits, cond),
            ]
            answers = struck(1e-5 * (round_ % 50 + 1), cond.wait, LONG)
        if answers == [True]:  # we had it ourselves, so the other waits, or will
            eventually(lambda: cond._sleeping_count.get_value() == 1)
            with cond:
                cond.notify()
        assert woken.acquire(timeout=LONG)
        for helper in helpers:
            helper.join()


class Named(Condition):
    def __init__(self, name: str) -> None:
        super().__init__(Lock())
        self.name = name


def check_name(cond: Any) -> None:
    assert cond.name == "x"
    with cond:
        cond.notify()


def test_a_condition_travels_with_its_attributes(ctx: Any) -> None:
    cond = Named("x")
    with cond:
        process = start(ctx, check_name, cond)
        assert cond.wait(LONG)
    end(process)
