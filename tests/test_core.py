"""The native module, method by method: what each does, and what it says to nonsense.

Signals, forks and deaths are in tests/faults; rings in tests/test_core_ring.py.
"""

import gc
import os
import pickle
import sys
import threading
import time
from array import array
from typing import Any

import pytest

from procession import _core, _family
from tests.kit.running import LONG, in_thread

SHORT = 0.05
KINDS: list[Any] = [
    _family.SemLock,
    _family.EventWord,
    _family.WaitList,
    _family.Block,
    _family.Ring,
    _family.Claims,
]


def objects() -> int:
    gc.collect()
    return _family.heap_stats()["objects"]


def lock(**arguments: Any) -> Any:
    return _family.SemLock(**({"kind": _family.SEMAPHORE, "owned": True} | arguments))


def rlock() -> Any:
    return _family.SemLock(_family.RECURSIVE_MUTEX, 1, 1)


# ---- the family ---------------------------------------------------------------------------


def test_a_process_is_a_member_of_its_own_family() -> None:
    assert (os.getpid(), _family.member()) in _family.members()
    assert _family.family() == _family.attach(_family.heap_fd()) > 0
    assert os.get_inheritable(_family.heap_fd()) is False
    stats = _family.heap_stats()
    assert set(stats) == {"used", "free", "top", "blocks", "objects", "members"}
    assert stats["members"] >= 1


def test_nothing_but_a_heap_is_joined() -> None:
    with pytest.raises(ValueError, match="not a family's heap of this build"):
        _family.attach(-1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        _family.attach(10**6)
    read, write = os.pipe()
    with pytest.raises(ValueError, match="not a family's heap"):
        _family.attach(read)
    os.close(read)
    os.close(write)
    with pytest.raises(OverflowError):
        _family.bury(-1)


def test_the_living_are_not_buried() -> None:
    kept = _family.EventWord()
    before = objects()
    _family.bury(os.getpid())
    _family.bury(0)
    assert objects() == before
    kept.set()
    assert kept.is_set()


# ---- what all have in common --------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_handle_names_one_object(kind: Any) -> None:
    before = objects()
    made = kind()
    again = kind._attach(made._handle())
    loaded = pickle.loads(pickle.dumps(made))
    assert type(again) is type(loaded) is kind
    assert made.handle == again.handle == loaded.handle
    assert made._handle() == again._handle()
    assert objects() == before + 1
    handle = made._handle()
    del made, again, loaded
    assert objects() == before
    with pytest.raises(ReferenceError, match="its last holder dropped it or died"):
        kind._attach(handle)


@pytest.mark.parametrize("kind", KINDS)
def test_a_handle_of_another_class_or_family_is_refused(kind: Any) -> None:
    other = _family.EventWord() if kind is not _family.EventWord else _family.Block(1)
    with pytest.raises(TypeError, match="another class"):
        kind._attach(other._handle())
    family, offset, serial = other._handle()
    with pytest.raises(LookupError, match="another family"):
        kind._attach((family ^ 1, offset, serial))
    for wrong in [
        (family, offset, serial + 1),
        (family, offset + 8, serial),
        (family, 0, 1),
        (family, 1 << 60, 1),
    ]:
        with pytest.raises(ReferenceError):
            kind._attach(wrong)
    for nonsense in [None, (1, 2), ("a", "b", "c"), 7]:
        with pytest.raises((TypeError, ValueError)):
            kind._attach(nonsense)
    with pytest.raises(OverflowError):
        kind._attach((-1, 0, 0))


def test_the_base_class_is_abstract() -> None:
    with pytest.raises(TypeError):
        _core.Shared()


# ---- locks --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lock, rlock, _family.SemLock])
def test_a_lock_is_taken_once(make: Any) -> None:
    taken = make()
    assert taken.acquire()
    assert taken._is_zero()
    assert taken._get_value() == 0
    others: list[bool] = []
    in_thread(lambda: others.append(taken.acquire(False))).join()
    in_thread(lambda: others.append(taken.acquire(True, SHORT))).join()
    in_thread(lambda: others.append(taken.acquire(timeout=-1))).join()
    assert others == [False] * 3
    taken.release()
    assert taken._get_value() == 1
    with taken as entered:
        assert entered is True
    assert taken._get_value() == 1


@pytest.mark.parametrize("block", [0, False, "", None])
def test_block_may_be_anything_with_a_truth_value(block: Any) -> None:
    taken = lock()
    assert taken.acquire(1)
    assert taken.acquire(block) is False
    assert taken.acquire(block=block, timeout=5) is False


@pytest.mark.parametrize("arguments", [("a",), (True, "a"), (True, None, 1)])
def test_arguments_of_acquire_are_looked_at(arguments: Any) -> None:
    if arguments == ("a",):
        assert lock().acquire(*arguments)
        return
    with pytest.raises(TypeError):
        lock().acquire(*arguments)
    with pytest.raises(TypeError):
        lock().acquire(wrong=1)


def test_a_timeout_that_is_no_number() -> None:
    taken = lock()
    taken.acquire()
    with pytest.raises(ValueError, match="not a number of seconds"):
        taken.acquire(True, float("nan"))


def test_what_is_not_held_is_not_released() -> None:
    with pytest.raises(ValueError, match="released too many times"):
        lock().release()
    with pytest.raises(ValueError, match="released too many times"):
        _family.SemLock(1, 2, 2).release()
    with pytest.raises(AssertionError, match="not owned by thread"):
        rlock().release()
    held = rlock()
    held.acquire()
    errors: list[str] = []

    def release() -> None:
        with pytest.raises(AssertionError) as caught:
            held.release()
        errors.append(str(caught.value))

    in_thread(release).join()
    assert errors == ["attempt to release recursive lock not owned by thread"]
    with pytest.raises(ValueError, match="released too many times"):
        lock().__exit__(None, None, None)


def test_a_recursive_lock_counts() -> None:
    held = rlock()
    assert (held._count(), held._is_mine(), held._holder()) == (0, False, None)
    for count in range(1, 4):
        assert held.acquire()
        assert (held._count(), held._is_mine()) == (count, True)
    assert held._holder() == (os.getpid(), threading.get_native_id())
    held.release()
    assert held._count() == 2


def test_anybody_may_release_a_lock() -> None:
    held = lock()
    held.acquire()
    assert (held._is_mine(), held._count()) == (True, 1)
    in_thread(held.release).join()
    assert (held._get_value(), held._holder(), held._is_mine()) == (1, None, False)


def test_a_semaphore_counts_down_to_zero_and_up_to_its_maximum() -> None:
    semaphore = _family.SemLock(1, 2, 3)
    assert semaphore.acquire()
    assert semaphore.acquire()
    assert not semaphore.acquire(False)
    assert semaphore._is_zero()
    assert semaphore._holder() is None
    assert not semaphore._is_mine()
    for value in (1, 2, 3):
        semaphore.release()
        assert semaphore._get_value() == value
    with pytest.raises(ValueError, match="too many times"):
        semaphore.release()
    assert (semaphore.kind, semaphore.maxvalue, semaphore.name) == (1, 3, None)
    assert (rlock().kind, rlock().maxvalue) == (0, 1)


def test_values_that_no_lock_has() -> None:
    for value, most in [(-1, 1), (2, 1), (0, 1 << 31), (1 << 40, 1 << 41)]:
        with pytest.raises(ValueError, match="initial value must be between 0 and"):
            _family.SemLock(1, value, most)
    with pytest.raises(ValueError, match="unknown kind of lock: 2"):
        _family.SemLock(2, 1, 1)
    with pytest.raises(ValueError, match="an owned lock has maxvalue 1, not 5"):
        _family.SemLock(1, 1, 5, owned=True)
    assert _family.SemLock(1, _family.SEM_VALUE_MAX, _family.SEM_VALUE_MAX)._get_value() == 2**31 - 1
    assert lock(value=0)._holder() == (os.getpid(), threading.get_native_id())


# ---- events -------------------------------------------------------------------------------


def test_an_event_is_set_waited_for_and_cleared() -> None:
    event = _family.EventWord()
    assert not event.is_set()
    assert not event.wait(0)
    assert not event.wait(-1)
    assert not event.wait(SHORT)
    thread = in_thread(lambda: (time.sleep(SHORT), event.set()))
    assert event.wait()
    thread.join()
    event.set()
    assert event.is_set()
    assert event.wait(0)
    event.clear()
    event.clear()
    assert not event.is_set()


def test_a_pulse_releases_who_waited() -> None:
    event = _family.EventWord()
    begun, released = threading.Barrier(4), []

    def wait() -> None:
        begun.wait()
        released.append(event.wait(LONG))

    threads = [in_thread(wait) for _ in range(3)]
    begun.wait()
    time.sleep(SHORT * 4)  # nothing tells that a thread sleeps
    event.set()
    event.clear()
    for thread in threads:
        thread.join()
    assert released == [True] * 3


# ---- lists of waiters ---------------------------------------------------------------------


def test_the_oldest_waiter_is_notified_first() -> None:
    waiters = _family.WaitList()
    tickets = [waiters.enter() for _ in range(100)]
    assert len(waiters) == 100 == len(set(tickets))
    assert waiters.notify(2) == 2
    assert len(waiters) == 98
    assert [waiters.wait(ticket, 0) for ticket in tickets[:3]] == [True, True, False]
    assert waiters.notify(1000) == 97
    assert all(waiters.wait(ticket) for ticket in tickets[3:])
    assert (len(waiters), waiters.notify()) == (0, 0)


def test_a_ticket_is_used_once() -> None:
    waiters = _family.WaitList()
    ticket = waiters.enter()
    assert not waiters.wait(ticket, 0)
    for used in (ticket, ticket + 1, 0, 2**64 - 1):
        with pytest.raises(ValueError, match="the ticket was used"):
            waiters.wait(used)
    assert waiters.enter() != ticket, "though the place is the same"
    for nonsense in (-1, 2**64):
        with pytest.raises(OverflowError):
            waiters.wait(nonsense)


def test_a_sleeping_waiter_is_woken() -> None:
    waiters = _family.WaitList()
    ticket, woken = waiters.enter(), []
    thread = in_thread(lambda: woken.append(waiters.wait(ticket, LONG)))
    time.sleep(SHORT)
    assert waiters.notify() == 1
    thread.join()
    assert woken == [True]


# ---- blocks -------------------------------------------------------------------------------


def test_a_block_is_zeroed_aligned_writable_memory() -> None:
    for size in (1, 100, 5000, 300_000):
        block = _family.Block(size)
        view = memoryview(block)  # type: ignore[arg-type]  # mypy knows buffers from 3.12 on
        assert (len(view), block.size, view.readonly, view.format) == (size, size, False, "B")
        assert view.tobytes() == bytes(size)
        view[:] = b"x" * size
        assert bytes(pickle.loads(pickle.dumps(block))) == b"x" * size
        del view, block  # taken again, and zeroed again


def test_a_view_keeps_its_block() -> None:
    view = memoryview(_family.Block(8)).cast("q")  # type: ignore[arg-type]
    gc.collect()
    view[0] = -5
    assert view.tolist() == [-5]


def test_an_empty_block() -> None:
    block = _family.Block()
    assert (block.size, bytes(block)) == (0, b"")  # type: ignore[call-overload]


@pytest.mark.parametrize("size", [-1, -(1 << 40)])
def test_a_negative_size(size: int) -> None:
    with pytest.raises(ValueError, match=f"size is negative: {size}"):
        _family.Block(size)


@pytest.mark.parametrize("size", [1 << 50, sys.maxsize])
def test_more_memory_than_there_is(size: int) -> None:
    before = _family.heap_stats()
    with pytest.raises(MemoryError, match="cannot grow beyond"):
        _family.Block(size)
    assert _family.heap_stats()["blocks"] == before["blocks"]


def test_a_block_is_what_numpy_and_struct_want() -> None:
    numpy = pytest.importorskip("numpy")
    numbers = numpy.frombuffer(_family.Block(80), dtype="f8")
    numbers[:] = range(10)
    assert numbers.sum() == 45
    assert numbers.flags.aligned
    assert numbers.ctypes.data % 64 == 0
    assert array("d", numbers.tobytes()).tolist() == list(range(10))
