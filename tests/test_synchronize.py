"""Locks, semaphores, conditions, events and barriers: between processes, and when some are killed."""

import multiprocessing.synchronize as std
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procession import _core, synchronize
from procession.errors import OwnerDiedError
from procession.synchronize import (
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    Lock,
    RLock,
    Semaphore,
)
from tests.kit import eventually

ROUNDS = 200
LONG = 30.0
"""A bound against hanging, in seconds; nothing is expected to take that long."""


def start(ctx: Any, target: Any, *args: Any) -> Any:
    process = ctx.Process(target=target, args=args)
    process.start()
    return process


def end(*processes: Any) -> None:
    for process in processes:
        process.join(LONG)
        assert process.exitcode == 0


def killed(process: Any) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.join(LONG)
    assert process.exitcode == -signal.SIGKILL


def in_thread(target: Any, *args: Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=args)
    thread.start()
    return thread


@contextmanager
def interrupted(seconds: float = 0.1) -> Iterator[None]:
    """Ctrl-C comes while the block waits; the block must end with KeyboardInterrupt."""
    timer = threading.Timer(seconds, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        timer.join()


# ---- shape -----------------------------------------------------------------------------------

KINDS = [Lock, RLock, Semaphore, BoundedSemaphore, Condition, Event]


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_one_of_the_stdlibs(kind: type) -> None:
    assert isinstance(kind(), getattr(std, kind.__name__))


@pytest.mark.parametrize("kind", [Lock, RLock, Semaphore, BoundedSemaphore])
def test_the_hot_methods_are_native(kind: Any) -> None:
    for name in ("acquire", "release", "__enter__", "__exit__"):
        assert getattr(kind, name) is getattr(_core.SemLock, name)


def test_every_name_of_the_stdlibs_module_is_there() -> None:
    assert [name for name in dir(std) if not hasattr(synchronize, name)] == []


@pytest.mark.parametrize("kind", [Lock, RLock, Event, Semaphore, BoundedSemaphore, Condition])
def test_ctx_may_be_given_or_left_out(kind: Any) -> None:
    kind()
    kind(ctx=None)


def test_semaphores_take_their_value_by_place_or_name() -> None:
    assert Semaphore(3).get_value() == Semaphore(value=3, ctx=None).get_value() == 3
    assert BoundedSemaphore(4).maxvalue == BoundedSemaphore(value=4).maxvalue == 4


@pytest.mark.parametrize("kind", [Semaphore, BoundedSemaphore])
def test_a_negative_value_is_refused(kind: Any) -> None:
    with pytest.raises(ValueError, match="-1"):
        kind(-1)


@pytest.mark.parametrize("value", ["1", 1.5, None])
def test_a_value_that_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        Semaphore(value)


class Renamed(Semaphore):
    def __init__(self, name: str) -> None:
        super().__init__(5)
        self.name_of_mine = name

    def __new__(cls, name: str) -> Self:
        return Semaphore.__new__(cls, 5)


class Careless(Semaphore):
    def __init__(self) -> None:
        super().__init__(5)


def test_a_subclass_of_semaphore_with_other_arguments_is_told_what_to_do() -> None:
    assert Renamed("x").get_value() == 5
    with pytest.raises(TypeError, match="override __new__"):
        Careless()


def test_reprs_are_the_stdlibs() -> None:
    lock, rlock = Lock(), RLock()
    assert repr(lock) == "<Lock(owner=None)>"
    assert repr(rlock) == "<RLock(None, 0)>"
    with lock, rlock, rlock:
        assert repr(lock) == "<Lock(owner=MainProcess)>"
        assert repr(rlock) == "<RLock(MainProcess, 2)>"
        seen: list[str] = []
        in_thread(lambda: seen.extend([repr(lock), repr(rlock)])).join()
        assert seen == ["<Lock(owner=SomeOtherThread)>", "<RLock(SomeOtherThread, nonzero)>"]
    assert repr(Semaphore(2)) == "<Semaphore(value=2)>"
    assert repr(BoundedSemaphore(2)) == "<BoundedSemaphore(value=2, maxvalue=2)>"
    assert repr(Condition()) == "<Condition(<RLock(None, 0)>, 0)>"
    assert repr(Event()).startswith("<Event at 0x")
    assert "waiters=0/2" in repr(Barrier(2))


def test_a_repr_in_a_named_thread_names_it() -> None:
    lock, seen = Lock(), []

    def look() -> None:
        with lock:
            seen.append(repr(lock))

    thread = threading.Thread(target=look, name="T7")
    thread.start()
    thread.join()
    assert seen == ["<Lock(owner=MainProcess|T7)>"]


def test_locked_says_whether_acquire_would_wait() -> None:
    for lock in (Lock(), RLock(), Semaphore(1)):
        assert not lock.locked()
        with lock:
            assert lock.locked()
        assert not lock.locked()


def test_the_semlock_is_the_object_itself() -> None:
    rlock = RLock()
    inner = rlock._semlock
    with rlock, rlock:
        assert (inner._count(), inner._is_mine(), inner._get_value(), inner._is_zero()) == (2, True, 0, True)
    assert (inner.kind, inner.maxvalue, inner.name, inner.handle) == (0, 1, None, rlock.handle)


def test_releasing_what_is_not_held_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"released too many times|not"):
        Lock().release()
    with pytest.raises(AssertionError):
        RLock().release()
    with pytest.raises(ValueError, match=r".+"):
        BoundedSemaphore(1).release()


def test_an_rlock_is_not_given_back_by_another_thread() -> None:
    lock, raised = RLock(), []

    def give_back() -> None:
        try:
            lock.release()
        except AssertionError as error:
            raised.append(error)

    with lock:
        in_thread(give_back).join()
    assert len(raised) == 1


def test_timeouts_are_never_shorter_than_asked() -> None:
    lock = Lock()
    lock.acquire()
    for take in (lock.acquire, Semaphore(0).acquire):
        for timeout, least in ((0.05, 0.05), (0, 0), (-1, 0)):
            began = time.monotonic()
            assert take(timeout=timeout) is False
            assert time.monotonic() - began >= least
        assert take(False, 10) is False


# ---- between processes -----------------------------------------------------------------------


def count_up(lock: Any, number: Any) -> None:
    view = number.create_memoryview().cast("q")
    for _ in range(ROUNDS):
        with lock:
            value = view[0]
            time.sleep(0)
            view[0] = value + 1


@pytest.mark.parametrize("kind", [Lock, RLock, Semaphore, BoundedSemaphore])
def test_one_at_a_time(ctx: Any, kind: Any) -> None:
    lock, number = kind(), synchronize.BufferWrapper(8)
    end(*[start(ctx, count_up, lock, number) for _ in range(3)])
    assert number.create_memoryview().cast("q")[0] == 3 * ROUNDS


def give_back_and_report(lock: Any, done: Any) -> None:
    lock.release()
    done.set()


def test_a_lock_is_given_back_by_another_process(ctx: Any) -> None:
    lock, done = Lock(), Event()
    lock.acquire()
    process = start(ctx, give_back_and_report, lock, done)
    assert lock.acquire(timeout=LONG)
    assert done.wait(LONG)
    end(process)


class Tagged(Lock):
    """A lock with an attribute and other arguments."""

    def __init__(self, tag: str) -> None:
        super().__init__()
        self.tag = tag


class Stateful(RLock):
    """A lock with a state of its own, as for the stdlib's."""

    def __init__(self, tag: str) -> None:
        super().__init__()
        self.tag = tag

    def __getstate__(self) -> Any:
        return (*super().__getstate__(), self.tag.upper())

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state[:-1])
        self.tag = state[-1]


def check_tag(lock: Any, tag: str) -> None:
    assert lock.tag == tag
    assert not lock.acquire(timeout=0.01)


def test_a_subclass_keeps_its_attributes(ctx: Any) -> None:
    lock = Tagged("x")
    with lock:
        end(start(ctx, check_tag, lock, "x"))


def test_a_subclass_s_own_state_is_used() -> None:
    assert pickle.loads(pickle.dumps(Stateful("x"))).tag == "X"


@pytest.mark.parametrize("kind", KINDS)
def test_each_can_be_pickled_at_any_time(kind: Any) -> None:
    obj = kind()
    again = pickle.loads(pickle.dumps(obj))
    assert type(again) is kind
    if kind in {Lock, RLock, Semaphore, BoundedSemaphore}:
        obj.acquire()
        assert again.locked()


def swap(first: Any, second: Any) -> None:
    for _ in range(ROUNDS):
        first.acquire()
        second.release()


def test_semaphores_hand_over(ctx: Any) -> None:
    ping, pong = Semaphore(0), Semaphore(0)
    process = start(ctx, swap, ping, pong)
    for _ in range(ROUNDS):
        ping.release()
        assert pong.acquire(timeout=LONG)
    end(process)
    assert ping.get_value() == pong.get_value() == 0


# ---- the holder is killed --------------------------------------------------------------------


def hold(lock: Any, held: Any) -> None:
    lock.acquire()
    held.set()
    time.sleep(LONG)


def take_and_count(lock: Any, clean: Any, died: Any) -> None:
    try:
        lock.acquire()
    except OwnerDiedError:
        died.release()
        lock.acquire()
    clean.release()
    lock.release()


@pytest.mark.parametrize("kind", [Lock, RLock])
def test_a_dead_holder_is_told_to_exactly_one_waiter(ctx: Any, kind: Any) -> None:
    lock, held, clean, died = kind(), Event(), Semaphore(0), Semaphore(0)
    holder = start(ctx, hold, lock, held)
    assert held.wait(LONG)
    processes = [start(ctx, take_and_count, lock, clean, died) for _ in range(2)]
    threads = [in_thread(take_and_count, lock, clean, died) for _ in range(2)]
    killed(holder)
    for _ in range(4):
        assert clean.acquire(timeout=LONG)
    end(*processes)
    for thread in threads:
        thread.join()
    assert died.get_value() == 1
    assert lock.acquire(timeout=0)


@pytest.mark.parametrize("kind", [Lock, RLock])
def test_the_error_names_the_dead_and_the_lock_is_free(ctx: Any, kind: Any) -> None:
    lock, held = kind(), Event()
    holder = start(ctx, hold, lock, held)
    assert held.wait(LONG)
    killed(holder)
    with pytest.raises(OwnerDiedError, match="the lock is free again") as caught:
        lock.acquire()
    assert caught.value.pid == holder.pid
    with lock:
        pass


def test_a_killed_holder_is_noticed_without_waiting(ctx: Any) -> None:
    lock, held = Lock(), Event()
    holder = start(ctx, hold, lock, held)
    assert held.wait(LONG)
    killed(holder)
    with pytest.raises(OwnerDiedError):
        lock.acquire(block=False)
    assert lock.acquire(block=False)


def wait_for_lock(lock: Any, ready: Any) -> None:
    ready.set()
    lock.acquire()


def test_a_killed_waiter_changes_nothing(ctx: Any) -> None:
    lock, ready = Lock(), Event()
    with lock:
        waiter = start(ctx, wait_for_lock, lock, ready)
        assert ready.wait(LONG)
        time.sleep(0.05)
        killed(waiter)
    assert lock.acquire(timeout=LONG)


def test_ctrl_c_ends_a_wait_for_a_lock() -> None:
    lock = Lock()
    lock.acquire()
    with interrupted():
        lock.acquire()
    with interrupted():
        Semaphore(0).acquire()
    lock.release()
    assert lock.acquire(timeout=0)


# ---- condition -------------------------------------------------------------------------------


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


# ---- event -----------------------------------------------------------------------------------


def wait_for_event(event: Any, woken: Any, ready: Any) -> None:
    ready.release()
    if event.wait():
        woken.release()


def test_an_event_wakes_all(ctx: Any) -> None:
    event, woken, ready = Event(), Semaphore(0), Semaphore(0)
    processes = [start(ctx, wait_for_event, event, woken, ready) for _ in range(3)]
    for _ in range(3):
        assert ready.acquire(timeout=LONG)
    assert woken.get_value() == 0
    event.set()
    end(*processes)
    assert woken.get_value() == 3
    assert event.is_set()
    assert event.wait(0)
    event.clear()
    assert not event.is_set()
    assert event.wait(0.01) is False


def test_an_event_set_by_a_signal_handler_wakes_the_wait_it_interrupts() -> None:
    event = Event()
    before = signal.signal(signal.SIGALRM, lambda *_: event.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert event.wait(LONG)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_pulse_wakes_who_waits() -> None:
    event, woken, ready = Event(), Semaphore(0), Semaphore(0)
    threads = [in_thread(wait_for_event, event, woken, ready) for _ in range(3)]

    def pulse() -> bool:
        event.set()
        event.clear()
        return woken.get_value() == 3

    eventually(pulse)
    for thread in threads:
        thread.join()


def test_a_killed_waiter_does_not_harm_an_event(ctx: Any) -> None:
    event, woken, ready = Event(), Semaphore(0), Semaphore(0)
    first, second = (start(ctx, wait_for_event, event, woken, ready) for _ in range(2))
    for _ in range(2):
        assert ready.acquire(timeout=LONG)
    killed(first)
    event.set()
    end(second)
    assert woken.get_value() == 1


def test_ctrl_c_ends_a_wait_for_an_event() -> None:
    event = Event()
    with interrupted():
        event.wait()
    event.set()
    assert event.wait(0)


def test_an_event_says_whether_it_is_set() -> None:
    event = Event()
    assert repr(event).endswith(" unset>")
    event.set()
    assert repr(event).endswith(" set>")


# ---- barrier ---------------------------------------------------------------------------------


def pass_often(barrier: Any, sums: Any, rounds: int) -> None:
    view = sums.create_memoryview().cast("q")
    for round_ in range(rounds):
        index = barrier.wait(LONG)
        with barrier._cond:
            view[round_] += index


@pytest.mark.parametrize("parties", [1, 3])
def test_all_pass_together_each_with_a_number_of_its_own(ctx: Any, parties: int) -> None:
    barrier, sums = Barrier(parties), synchronize.BufferWrapper(8 * 20)
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


def test_ctrl_c_in_a_barrier_leaves_the_seat_free() -> None:
    barrier = Barrier(2)
    with interrupted():
        barrier.wait()
    assert barrier.n_waiting == 0
    threads, outcomes = gather(barrier, 1)
    assert {barrier.wait(LONG)} | set(outcomes) <= {0, 1}
    threads[0].join()


# ---- against a plain model -------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3), st.lists(st.sampled_from(["acquire", "release"]), max_size=30))
def test_a_bounded_semaphore_counts_like_a_number(value: int, steps: list[str]) -> None:
    semaphore, model = BoundedSemaphore(value), value
    for step in steps:
        if step == "acquire":
            assert semaphore.acquire(False) is (model > 0)
            model = max(model - 1, 0)
        elif model == value:
            with pytest.raises(ValueError, match=r".+"):
                semaphore.release()
        else:
            semaphore.release()
            model += 1
        assert semaphore.get_value() == model
