"""Barriers: passing, breaking, and parties that are killed."""

import os
import signal
import threading
import time
from typing import Any

import pytest

from procession.heap import BufferWrapper
from procession.synchronize import Barrier
from tests.kit import eventually
from tests.kit.running import LONG, end, in_thread, interrupted, killed, start


def pass_often(barrier: Any, sums: Any, rounds: int) -> None:
    view = sums.create_memoryview().cast("q")
    for round_ in range(rounds):
        index = barrier.wait(LONG)
        with barrier._cond:
            view[round_] += index


@pytest.mark.parametrize("parties", [1, 3])
def test_all_pass_together_each_with_a_number_of_its_own(ctx: Any, parties: int) -> None:
    barrier, sums = Barrier(parties), BufferWrapper(8 * 20)
    end(*[start(ctx, pass_often, barrier, sums, 20) for _ in range(parties)])
    assert sums.create_memoryview().cast("q").tolist() == [sum(range(parties))] * 20
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (parties, 0, False)


def test_a_barrier_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Barrier(0)


def gather(barrier: Any, count: int) -> tuple[list[threading.Thread], list[Any]]:
    """Threads that wait in the barrier, and what became of them."""
    outcomes: list[Any] = []

    def wait() -> None:
        try:
            outcomes.append(barrier.wait())
        except threading.BrokenBarrierError as error:
            outcomes.append(error)

    threads = [in_thread(wait) for _ in range(count)]
    eventually(lambda: barrier.n_waiting == count)
    return threads, outcomes


def test_abort_and_reset() -> None:
    barrier = Barrier(3)
    threads, outcomes = gather(barrier, 2)
    barrier.abort()
    for thread in threads:
        thread.join()
    assert [type(outcome) for outcome in outcomes] == [threading.BrokenBarrierError] * 2
    assert barrier.broken
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    barrier.reset()
    assert not barrier.broken
    threads, outcomes = gather(barrier, 2)
    barrier.reset()
    for thread in threads:
        thread.join()
    assert [type(outcome) for outcome in outcomes] == [threading.BrokenBarrierError] * 2
    assert not barrier.broken
    threads, outcomes = gather(barrier, 2)
    barrier.wait()
    for thread in threads:
        thread.join()
    assert not any(isinstance(outcome, Exception) for outcome in outcomes)


def test_a_timeout_breaks_the_barrier() -> None:
    barrier = Barrier(2, timeout=0.05)
    for timeout in (None, 0.05, 0):
        began = time.monotonic()
        with pytest.raises(threading.BrokenBarrierError):
            barrier.wait(timeout)
        assert time.monotonic() - began >= (0.05 if timeout is None else timeout)
        assert barrier.broken
        barrier.reset()


def test_one_of_them_runs_the_action() -> None:
    calls: list[int] = []
    barrier = Barrier(3, action=lambda: calls.append(barrier.n_waiting))
    threads, outcomes = gather(barrier, 2)
    outcomes.append(barrier.wait())
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [0, 1, 2]
    assert calls == [3]


def test_an_action_that_raises_breaks_the_barrier() -> None:
    barrier = Barrier(2, action=lambda: 1 // 0)
    threads, outcomes = gather(barrier, 1)
    with pytest.raises(ZeroDivisionError):
        barrier.wait()
    threads[0].join()
    assert type(outcomes[0]) is threading.BrokenBarrierError
    assert barrier.broken


def wait_in(barrier: Any) -> None:
    barrier.wait()


def test_a_party_killed_while_it_waits_breaks_the_barrier(ctx: Any) -> None:
    barrier = Barrier(3)
    process = start(ctx, wait_in, barrier)
    eventually(lambda: barrier.n_waiting == 1)
    threads, outcomes = gather(barrier, 1) if barrier.n_waiting == 0 else wait_beside(barrier)
    killed(process)
    threads[0].join(LONG)
    assert type(outcomes[0]) is threading.BrokenBarrierError
    assert str(process.pid) in str(outcomes[0])
    barrier.reset()
    threads, outcomes = gather(barrier, 2)
    barrier.wait(LONG)
    for thread in threads:
        thread.join()


def wait_beside(barrier: Any) -> tuple[list[threading.Thread], list[Any]]:
    outcomes: list[Any] = []

    def wait() -> None:
        try:
            outcomes.append(barrier.wait())
        except threading.BrokenBarrierError as error:
            outcomes.append(error)

    thread = in_thread(wait)
    eventually(lambda: barrier.n_waiting == 2)
    return [thread], outcomes


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_party_killed_in_the_action_breaks_the_barrier(ctx: Any) -> None:
    barrier = Barrier(2, action=die)
    threads, outcomes = gather(barrier, 1)
    process = start(ctx, wait_in, barrier)
    threads[0].join(LONG)
    process.join(LONG)
    assert type(outcomes[0]) is threading.BrokenBarrierError
    assert barrier.broken


def test_a_party_killed_before_the_last_comes_breaks_the_barrier(ctx: Any) -> None:
    barrier = Barrier(2)
    process = start(ctx, wait_in, barrier)
    eventually(lambda: barrier.n_waiting == 1)
    killed(process)
    with pytest.raises(threading.BrokenBarrierError, match=str(process.pid)):
        barrier.wait(LONG)
    assert barrier.broken


def test_a_timeout_is_kept_beside_a_party_that_was_killed(ctx: Any) -> None:
    barrier = Barrier(3)
    process = start(ctx, wait_in, barrier)
    eventually(lambda: barrier.n_waiting == 1)
    killed(process)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(0.1)
    assert barrier.broken
    barrier.reset()
    assert (barrier.broken, barrier.n_waiting) == (False, 0)


def test_ctrl_c_in_a_barrier_leaves_the_seat_free() -> None:
    barrier = Barrier(2)
    with interrupted():
        barrier.wait()
    assert barrier.n_waiting == 0
    threads, outcomes = gather(barrier, 1)
    assert {barrier.wait(LONG)} | set(outcomes) <= {0, 1}
    threads[0].join()
