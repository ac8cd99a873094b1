"""What locks, semaphores, conditions, events and barriers look like, beside the stdlib's."""

import multiprocessing.synchronize as std
import threading
import time
from typing import Any, Self

import pytest

from procession import _core, synchronize
from procession.synchronize import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore
from tests.kit.running import in_thread

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


def test_any_true_or_false_value_says_whether_to_wait() -> None:
    lock = Lock()
    for block in (0, 1, [], "yes"):
        assert lock.acquire(block)
        assert not lock.acquire(block, 0.01)
        lock.release()


def test_timeouts_are_never_shorter_than_asked() -> None:
    lock = Lock()
    lock.acquire()
    for take in (lock.acquire, Semaphore(0).acquire):
        for timeout, least in ((0.05, 0.05), (0, 0), (-1, 0)):
            began = time.monotonic()
            assert take(timeout=timeout) is False
            assert time.monotonic() - began >= least
        assert take(False, 10) is False
