"""Pools that are terminated or interrupted: at any moment, from anywhere, nothing hangs."""

import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import procession
from procession.errors import ProcessError
from tests.kit import alive, eventually, kill, run_script
from tests.pools import (
    KINDS,
    LONG,
    Unpicklable,
    blocked_generator,
    identity,
    ignore_sigterm,
    make_pool,
    pid,
    square,
    touch,
    touch_and_sleep,
    wait_for,
)

PATH = os.pathsep.join([os.getcwd(), os.path.join(os.getcwd(), "src")])


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Waiters:
    """Threads, each of which waits for something of a pool that will not come."""

    def __init__(self, pool: Any, gate: str) -> None:
        calls: list[Callable[[], Any]] = [
            pool.apply_async(wait_for, (gate,)).get,
            pool.map_async(wait_for, [gate] * 5, 1).get,
            pool.imap(wait_for, [gate]).next,
            pool.imap_unordered(wait_for, iter([gate])).next,
            pool.apply_async(wait_for, (gate,)).wait,
            pool.apply_async(wait_for, (gate,), callback=print).get,
        ]
        self.outcomes: list[Any] = []
        self.threads = [threading.Thread(target=self.wait, args=(call,)) for call in calls]
        for thread in self.threads:
            thread.start()

    def wait(self, call: Callable[[], Any]) -> None:
        try:
            self.outcomes.append(call())
        except ProcessError as error:
            self.outcomes.append(error)

    def check(self) -> None:
        for thread in self.threads:
            thread.join(LONG)
        assert sorted(str(outcome) for outcome in self.outcomes) == [
            "None",
            *["the pool was terminated before this result came"] * 5,
        ]


# ---- terminate -----------------------------------------------------------------------------


def test_what_is_pending_when_a_pool_is_terminated_raises(kind: str, tmp_path: Any) -> None:
    gate = str(tmp_path / "gate")
    pool = make_pool(kind, 2)
    waiters = Waiters(pool, gate)
    later = pool.apply_async(wait_for, (gate,))
    done = pool.apply_async(square, (2,))
    with pool:
        pass
    waiters.check()
    with pytest.raises(ProcessError, match="terminated"):
        later.get(LONG)
    assert later.ready()
    assert not later.successful()
    with pytest.raises(ProcessError, match="terminated"):
        done.get(LONG)
    touch(gate)
    pool.join()
    pool.terminate()
    pool.join()


def test_what_was_done_stays_when_a_pool_is_terminated(kind: str) -> None:
    with make_pool(kind, 1) as pool:
        result = pool.apply_async(square, (3,))
        result.wait(LONG)
        results = pool.imap(square, endless())
        assert results.next(LONG) == 0
    pool.join()
    assert result.get(0) == 9
    with pytest.raises(ProcessError, match="terminated"):
        list(results)


def endless() -> Iterator[int]:
    yield from itertools.count()


def test_workers_that_ignore_sigterm_are_killed(ctx: Any) -> None:
    pool = ctx.Pool(2, ignore_sigterm)
    pool.map(pid, range(4), 1)
    workers = [worker.pid for worker in pool._pool]
    pool.map_async(time.sleep, [LONG] * 4, 1)
    pool.terminate()
    assert not any(alive(worker) for worker in workers)
    pool.join()


def test_stopped_workers_are_killed(ctx: Any) -> None:
    pool = ctx.Pool(1)
    pool.apply(pid)
    kill(pool._pool[0].pid, signal.SIGSTOP)
    pool.terminate()
    pool.join()


def test_a_blocked_input_does_not_hold_up_the_end(kind: str) -> None:
    gate = threading.Event()
    pool = make_pool(kind, 1)
    results = pool.imap(square, blocked_generator(3, gate))
    assert [results.next(LONG) for _ in range(3)] == [0, 1, 4]
    with pytest.raises(multiprocessing.TimeoutError):
        results.next(0.01)
    pool.terminate()
    pool.join()
    with pytest.raises(ProcessError, match="terminated"):
        results.next(LONG)
    gate.set()
    assert eventually(lambda: not any(t.name == "procession-imap" for t in threading.enumerate()))


@pytest.mark.parametrize("thorough", [False, True])
def test_a_callback_may_end_the_pool(kind: str, thorough: bool) -> None:
    pool = make_pool(kind, 2)

    def callback(_: Any) -> None:
        pool.terminate()
        if thorough:
            pool.join()

    gate = threading.Event()
    result = pool.apply_async(square, (4,), callback=callback)
    try:
        assert result.get(LONG) == 16
    except ProcessError:
        gate.set()  # the callback was quicker than its result
    pool.join()


def test_many_threads_terminate_at_once(kind: str) -> None:
    pool = make_pool(kind, 2)
    pool.map_async(square, range(1000), 1)
    threads = [threading.Thread(target=pool.terminate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    pool.join()


def test_terminate_while_others_submit(kind: str) -> None:
    pool = make_pool(kind, 2)
    outcomes: list[Any] = []

    def submit() -> None:
        try:
            while True:
                outcomes.append(pool.apply(square, (2,)))
        except (ValueError, ProcessError) as error:
            outcomes.append(error)

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert eventually(lambda: len(outcomes) > 20)
    pool.terminate()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    pool.join()
    assert {str(outcome) for outcome in outcomes} <= {
        "4",
        "Pool not running: it was terminated",
        "the pool was terminated before this result came",
    }


def test_terminate_from_a_signal_handler(kind: str) -> None:
    pool = make_pool(kind, 2)
    handled: list[int] = []

    def handler(number: int, _: Any) -> None:
        handled.append(number)
        pool.terminate()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        result = pool.map_async(time.sleep, [0.2] * 1000, 1)
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(ProcessError, match="terminated"):
            result.get(LONG)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert handled
    pool.join()


# ---- interruption --------------------------------------------------------------------------


class AlarmError(Exception):
    pass


@pytest.fixture
def alarm() -> Any:
    """Calls for an exception after so many seconds, in the main thread, when it is in the package."""

    def handler(_: int, frame: Any) -> None:
        if frame.f_globals["__name__"].startswith("procession"):
            raise AlarmError
        signal.setitimer(signal.ITIMER_REAL, 0.0001)

    before = signal.signal(signal.SIGALRM, handler)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_wait_can_be_interrupted_and_gone_on_with(kind: str, alarm: Any, tmp_path: Any) -> None:
    gate = str(tmp_path / "gate")
    with make_pool(kind, 1) as pool:
        results = [pool.apply_async(wait_for, (gate,)), pool.map_async(wait_for, [gate])]
        numbers = pool.imap(wait_for, [gate])
        for wait in (results[0].get, results[1].get, results[0].wait, numbers.next):
            alarm(0.05)
            with pytest.raises(AlarmError):
                wait(LONG)
        touch(gate)
        assert results[0].get(LONG) == gate
        assert results[1].get(LONG) == [gate]
        assert next(numbers) == gate
        assert pool.apply(square, (3,)) == 9
    pool.join()


def test_interrupted_again_and_again_nothing_is_lost(kind: str, alarm: Any) -> None:
    """Exceptions of signal handlers, at moments nobody chose, in the midst of heavy traffic."""
    expected = [i * i for i in range(200)]
    with make_pool(kind, 2) as pool:
        for attempt in range(60):
            results = [pool.apply_async(square, (i,)) for i in range(200)]
            numbers = pool.imap_unordered(square, range(200))
            alarm(0.0005 * (attempt + 1))
            assert [persistently(result.get) for result in results] == expected
            found = list(iter(partial(persistently, partial(next, numbers, None)), None))
            alarm(0)
            assert sorted(found) in (expected, *without_one(expected))
        assert not pool._cache
        pool.close()
        pool.join()


def without_one(numbers: list[int]) -> list[list[int]]:
    """Who is interrupted with a result in hand, in the very moment of return, has lost that one."""
    return [numbers[:i] + numbers[i + 1 :] for i in range(len(numbers))]


def persistently(call: Callable[[], Any]) -> Any:
    while True:
        try:
            return call()
        except AlarmError:
            continue


@pytest.mark.parametrize("wait", ["pool.map(time.sleep, [30] * 4, 1)", "next(pool.imap(time.sleep, [30]))"])
def test_ctrl_c_gives_one_traceback_and_ends_all(method: str, wait: str) -> None:
    script = f"""
    import os, signal, threading, time
    import procession

    if __name__ == "__main__":
        with procession.get_context({method!r}).Pool(3) as pool:
            pool.map(abs, range(10), 1)
            # As a terminal does: to the whole group.  Some workers may be starting yet.
            threading.Timer(0.1, os.killpg, (0, signal.SIGINT)).start()
            {wait}
    """
    result = run_script(script, env={"PYTHONPATH": PATH})
    assert result.returncode == -signal.SIGINT, result.report()
    assert result.leftovers == ()
    assert result.stderr.count("Traceback") == result.stderr.count("KeyboardInterrupt") == 1, result.report()


def test_sigint_interrupts_tasks_and_idle_workers_stay(ctx: Any, tmp_path: Any) -> None:
    with ctx.Pool(2) as pool:
        workers = {worker.pid for worker in pool._pool}
        pool.map(pid, range(8), 1)
        seen = tmp_path / "seen"
        result = pool.apply_async(touch_and_sleep, (str(seen),))
        assert eventually(lambda: seen.exists() and seen.read_text())
        for worker in workers:
            kill(worker, signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            result.get(LONG)
        assert set(pool.map(pid, range(20), 1)) <= workers
    pool.join()


# ---- size ----------------------------------------------------------------------------------


def test_sixty_four_workers() -> None:
    with procession.get_context("fork").Pool(64) as pool:
        assert pool.map(square, range(2000), 1) == [i * i for i in range(2000)]
        assert sum(pool.imap_unordered(square, range(500))) == sum(i * i for i in range(500))
        with pytest.raises(RuntimeError):
            pool.map(identity, [Unpicklable()])
    pool.join()


def test_fire_and_forget_does_not_pile_up(ctx: Any) -> None:
    from procession import _family

    with ctx.Pool(2) as pool:
        pool.map(square, range(100), 1)
        for _ in range(5000):
            pool.apply_async(bytes, (1000,))
        assert len(pool._engine.scheduler.flying) < 5000
        assert _family.heap_stats()["used"] < 5_000_000
    pool.join()


def test_a_callback_that_is_owed_after_the_last_one_ran_runs_too() -> None:
    pool = make_pool("threads", 1)
    pump = pool._engine.pump
    pump.close()
    pump.join()
    calls: list[Any] = []
    # As a caller does that had looked before whether the pool was open.
    result = pool.apply_async(square, (3,), error_callback=calls.append)
    result.wait(LONG)
    assert result.ready()
    assert len(calls) == 1
    pool.terminate()
    pool.join()
