"""Locks, semaphores and events: between processes, and when some are killed."""

import pickle
import signal
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procession.errors import OwnerDiedError
from procession.heap import BufferWrapper
from procession.synchronize import BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore
from tests.kit import eventually
from tests.kit.running import LONG, end, in_thread, interrupted, killed, start

ROUNDS = 200

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
    lock, number = kind(), BufferWrapper(8)
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


@pytest.mark.parametrize("kind", [Lock, RLock, Semaphore, BoundedSemaphore, Condition, Event])
def test_each_can_be_pickled_at_any_time(kind: Any) -> None:
    obj = kind()
    again = pickle.loads(pickle.dumps(obj))
    assert type(again) is kind
    if hasattr(obj, "locked"):
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
