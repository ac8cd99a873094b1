"""Locks of a manager, and clients that end while they hold them."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from procession.errors import OwnerDiedError
from procession.managers._locks import Condition, Lock, RLock
from tests.kit import eventually
from tests.kit.running import LONG, end, in_thread, killed, start

KINDS = ["Lock", "RLock", "Condition"]


def in_another_thread(work: Callable[..., object], *args: object) -> object:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work, *args).result()


# ---- as the stdlib's -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Lock, RLock])
def test_arguments_are_those_of_the_stdlib(kind: Any) -> None:
    for lock in (kind(), getattr(threading, kind.__name__)()):
        with pytest.raises(ValueError, match="timeout"):
            lock.acquire(False, 1)
        with pytest.raises(ValueError, match="timeout"):
            lock.acquire(True, -2)
        with pytest.raises(RuntimeError):
            lock.release()
        assert lock.acquire(True, 0) is True
        assert in_another_thread(lock.acquire, False) is False
        assert in_another_thread(lock.acquire, True, 0) is False
        assert in_another_thread(lock.acquire, True, 0.01) is False
        lock.release()


def test_it_says_who_holds_it(manager: Any) -> None:
    lock = manager.Lock()
    assert str(lock) == "<unlocked Lock>"
    with lock:
        assert str(lock).startswith("<locked Lock held by process 'MainProcess' (")


def test_a_condition_over_a_lock_of_the_manager(manager: Any) -> None:
    for cond in (manager.Condition(manager.Lock()), manager.Condition()):
        with cond:
            assert not cond.wait(0.01)
        with pytest.raises(RuntimeError):
            cond.notify()


def test_a_condition_gives_back_all_that_was_taken() -> None:
    lock = RLock()
    cond = Condition(lock)

    def notify() -> None:
        with cond:
            cond.notify()

    with cond, cond:
        thread = in_thread(notify)
        assert cond.wait(LONG)
        assert in_another_thread(lock.acquire, False) is False
    thread.join(LONG)
    assert not lock.locked()


# ---- holders that end ------------------------------------------------------------------------


def take(lock: Any, taken: Any, stay: Any) -> None:
    lock.acquire()
    taken.set()
    stay.wait()


def holder(ctx: Any, lock: Any) -> Any:
    """A process that has taken the lock."""
    taken = ctx.Event()
    process = start(ctx, take, lock, taken, ctx.Event())
    assert taken.wait(LONG)
    return process


def outcome(work: Callable[[], object], into: list[Any]) -> None:
    try:
        into.append(work())
    except Exception as error:  # noqa: BLE001
        into.append(error)


@pytest.mark.parametrize("kind", KINDS)
def test_one_who_waits_is_told_that_the_holder_died(ctx: Any, manager: Any, kind: str) -> None:
    lock, ends = getattr(manager, kind)(), []
    process = holder(ctx, lock)
    threads = [
        in_thread(outcome, lambda: lock.acquire(True, LONG) and lock.release(), ends) for _ in range(2)
    ]
    killed(process)
    for thread in threads:
        thread.join(LONG)
    told = [error for error in ends if isinstance(error, OwnerDiedError)]
    assert [(error.pid, error.name) for error in told] == [(process.pid, process.name)]
    assert len(ends) == 2
    assert lock.acquire(False)
    lock.release()


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_to_come_is_told(ctx: Any, manager: Any, kind: str) -> None:
    lock = getattr(manager, kind)()
    killed(holder(ctx, lock))
    with pytest.raises(OwnerDiedError), lock:
        pass
    with lock:
        pass


def test_who_ends_in_good_order_without_giving_back_is_no_better(ctx: Any, manager: Any) -> None:
    lock, taken, stay = manager.Lock(), ctx.Event(), ctx.Event()
    stay.set()
    end(start(ctx, take, lock, taken, stay))
    with pytest.raises(OwnerDiedError):
        lock.acquire()


def test_another_may_give_back_what_a_dead_one_took(ctx: Any, manager: Any) -> None:
    lock = manager.Lock()
    killed(holder(ctx, lock))
    assert eventually(lambda: "held" not in str(lock))
    lock.release()
    assert lock.acquire(False)
    with pytest.raises(RuntimeError):
        [lock.release() for _ in range(2)]


@pytest.mark.parametrize("kind", KINDS)
def test_one_killed_while_it_waits_takes_nothing(ctx: Any, manager: Any, kind: str) -> None:
    lock, begun = getattr(manager, kind)(), ctx.Event()
    with lock:
        waiter = start(ctx, wait_for, lock, begun)
        assert begun.wait(LONG)
        killed(waiter)
    assert lock.acquire(True, LONG)
    lock.release()


def wait_for(lock: Any, begun: Any) -> None:
    begun.set()
    lock.acquire()
    begun.clear()  # not reached


def test_a_condition_s_lock_is_held_again_though_another_died_with_it(ctx: Any, manager: Any) -> None:
    cond, waiting, ends = manager.Condition(), threading.Event(), []

    def wait() -> None:
        with cond:
            waiting.set()
            outcome(lambda: cond.wait(LONG), ends)
            cond.notify()  # RuntimeError if it were not held

    thread = in_thread(wait)
    assert waiting.wait(LONG)
    process = start(ctx, notify_and_stay, cond, taken := ctx.Event(), ctx.Event())
    assert taken.wait(LONG)
    killed(process)
    thread.join(LONG)
    assert [type(error) for error in ends] == [OwnerDiedError]
    assert cond.acquire(False)
    cond.release()


def notify_and_stay(cond: Any, taken: Any, stay: Any) -> None:
    with cond:
        cond.notify_all()
        taken.set()
        stay.wait()


def take_and_forget(locks: list[Any], taken: Any, stay: Any) -> None:
    locks[0].acquire()
    locks.clear()
    taken.set()
    stay.wait()


def test_who_lives_but_has_no_proxy_left_is_not_dead(ctx: Any, manager: Any) -> None:
    lock, incoming = manager.Lock(), ctx.SimpleQueue()
    taken, stay = ctx.Event(), ctx.Event()
    process = start(ctx, forget_what_comes, incoming, taken, stay)
    incoming.put([lock])
    assert taken.wait(LONG)
    assert not lock.acquire(True, 0.2)
    lock.release()
    assert lock.acquire(False)
    stay.set()
    end(process)
    assert lock.locked()
    lock.release()


def forget_what_comes(incoming: Any, taken: Any, stay: Any) -> None:
    take_and_forget(incoming.get(), taken, stay)
