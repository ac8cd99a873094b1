"""Signals in the middle of native waits: Ctrl-C, handlers that use the object, and too many of them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from procession import _family
from procession.errors import OwnerDiedError
from tests.faults.children import fork, reap
from tests.kit.running import LONG, in_thread, interrupted


def taken_lock(**arguments: Any) -> Any:
    lock = _family.SemLock(_family.SEMAPHORE, 1, 1, **arguments)
    lock.acquire()
    return lock


def others_rlock() -> Any:
    lock = _family.SemLock(_family.RECURSIVE_MUTEX, 1, 1)
    in_thread(lock.acquire).join()
    return lock


def full_ring() -> Any:
    ring = _family.Ring(1)
    ring.put(b"x")
    return ring


def waiting() -> Any:
    waiters = _family.WaitList()
    return lambda: waiters.wait(waiters.enter())


WAITS: dict[str, Callable[[], Callable[[], object]]] = {
    "lock": lambda: taken_lock(owned=True).acquire,
    "semaphore": lambda: taken_lock(owned=False).acquire,
    "rlock": lambda: others_rlock().acquire,
    "with": lambda: taken_lock(owned=True).__enter__,
    "event": lambda: _family.EventWord().wait,
    "list": waiting,
    "get": lambda: _family.Ring().get,
    "get_many": lambda: partial(_family.Ring().get_many, 3),
    "put": lambda: partial(full_ring().put, b"y"),
    "put big": lambda: partial(full_ring().put, bytes(100_000)),
    "put_many": lambda: partial(full_ring().put_many, [b"y"]),
    "readable": lambda: _family.Ring().wait_readable,
    "drained": lambda: full_ring().wait_drained,
    "join": lambda: full_ring().join,
}


@pytest.mark.parametrize("name", WAITS)
def test_ctrl_c_ends_every_wait(name: str) -> None:
    wait = WAITS[name]()
    with interrupted():
        wait()


@contextmanager
def handling(work: Callable[[], object], after: float = 0.1) -> Iterator[None]:
    """`work` runs as a signal handler while the block waits."""
    before = signal.signal(signal.SIGUSR1, lambda *_: work())
    timer = threading.Timer(after, os.kill, [os.getpid(), signal.SIGUSR1])
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


def test_a_handler_sets_the_event_that_is_waited_for() -> None:
    event = _family.EventWord()
    with handling(event.set):
        assert event.wait(LONG)


def test_a_handler_gives_the_lock_that_is_waited_for() -> None:
    lock = taken_lock(owned=True)
    with handling(lock.release):
        assert lock.acquire(True, LONG)


def test_a_handler_puts_what_is_waited_for() -> None:
    ring = _family.Ring()
    with handling(lambda: ring.put(b"news")):
        assert ring.get(True, LONG) == b"news"
    with handling(lambda: ring.put(bytes(100_000), carry=[_family.EventWord()])):
        assert ring.get(True, LONG) == bytes(100_000)
    ring = full_ring()
    with handling(ring.get):
        assert ring.put(b"y", True, LONG)


def test_a_handler_notifies_who_waits() -> None:
    waiters = _family.WaitList()
    ticket = waiters.enter()
    with handling(waiters.notify):
        assert waiters.wait(ticket, LONG)


def test_a_handler_waits_at_the_same_object() -> None:
    event, ring = _family.EventWord(), _family.Ring()
    with handling(lambda: (event.wait(0.01), event.set())):
        assert event.wait(LONG)
    with handling(lambda: (ring.get(True, 0.01), ring.put(b"x"))):
        assert ring.get(True, LONG) == b"x"


def fail() -> None:
    raise LookupError("from the handler")


@pytest.mark.parametrize("name", WAITS)
def test_what_a_handler_raises_ends_the_wait(name: str) -> None:
    wait = WAITS[name]()
    with handling(fail), pytest.raises(LookupError, match="from the handler"):
        wait()


def test_an_interrupted_waiter_is_not_in_the_list_any_more() -> None:
    waiters = _family.WaitList()
    ticket = waiters.enter()
    with handling(fail), pytest.raises(LookupError):
        waiters.wait(ticket)
    assert len(waiters) == 0
    assert waiters.notify() == 0


@pytest.mark.parametrize("name", ["lock", "semaphore", "event", "list", "get", "put big", "readable"])
def test_a_handler_that_forks_leaves_the_wait_to_the_parent(name: str) -> None:
    wait, parent, child = WAITS[name](), os.getpid(), []

    def branch() -> None:
        pid = os.fork()
        if pid:
            child.append(pid)
            raise LookupError

    code = 1
    with handling(branch):
        try:
            wait()
        except LookupError:
            pass
        except RuntimeError as error:
            code = 0 if "forked this process in the middle of a wait" in str(error) else 2
        finally:
            if os.getpid() != parent:
                os._exit(code)
    assert reap(child[0]) == 0


@contextmanager
def storm(seconds: float = 0.002) -> Iterator[None]:
    """A signal every so often, as a sampling profiler sends them."""
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_in_a_storm_of_signals_a_holder_s_death_is_noticed() -> None:
    lock, taken = _family.SemLock(_family.SEMAPHORE, 1, 1, owned=True), _family.EventWord()
    pid = fork(lambda: (lock.acquire(), taken.set(), time.sleep(LONG)))
    assert taken.wait(LONG)
    os.kill(pid, signal.SIGKILL)
    with storm(), pytest.raises(OwnerDiedError, match=f"process {pid} died"):
        lock.acquire(True, LONG)
    reap(pid)
    assert lock.acquire(False)


def test_in_a_storm_of_signals_time_runs_out_and_memory_is_had() -> None:
    with storm():
        assert _family.Ring().get(True, 0.2) is None
        assert _family.EventWord().wait(0.2) is False
        # The system undoes a large allotment when a signal comes.
        assert _family.Block(300 << 20).size == 300 << 20
