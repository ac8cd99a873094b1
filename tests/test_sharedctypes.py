"""Values and arrays in shared memory."""

import ctypes
import multiprocessing
import multiprocessing.sharedctypes as std
import os
import pickle
import signal
import threading
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest

from procession import sharedctypes
from procession.errors import OwnerDiedError
from procession.queues import SimpleQueue
from procession.reduction import dumps, loads
from procession.sharedctypes import (
    Array,
    RawArray,
    RawValue,
    Synchronized,
    SynchronizedArray,
    SynchronizedBase,
    SynchronizedString,
    Value,
    copy,
    synchronized,
)
from procession.synchronize import Lock, RLock
from tests.kit.running import LONG, end, start

CODES = "c u b B h H i I l L q Q f d".split()  # noqa: SIM905


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


# ---- making ----------------------------------------------------------------------------------


def test_every_name_of_the_stdlibs_module_is_there() -> None:
    assert [name for name in dir(std) if not hasattr(sharedctypes, name)] == []


@pytest.mark.parametrize("code", CODES)
def test_each_type_code_begins_with_zero_and_takes_a_value(code: str) -> None:
    zero, one = {"c": (b"\0", b"x"), "u": ("\0", "ä")}.get(code, (0, 1))
    for make in (RawValue, Value):
        value = make(code)
        assert value.value == zero
        value.value = one
        assert value.value == one
        assert make(code, one).value == one
    array = Array(code, 3)
    assert list(array) == [zero] * 3
    array[1] = one
    assert array[1] == one


@pytest.mark.parametrize("bad", ["z", "", "ii", 5, None, int, ctypes.c_int(3), []])
def test_what_is_no_type_is_refused(bad: Any) -> None:
    for make in (lambda: RawValue(bad), lambda: Value(bad), lambda: Array(bad, 3)):
        with pytest.raises(TypeError):
            make()
    if isinstance(bad, str):
        with pytest.raises(TypeError, match="type codes c u b"):
            Value(bad)


def test_a_bad_initial_value_or_size_is_refused() -> None:
    with pytest.raises(TypeError):
        Value("i", "x")
    with pytest.raises(ValueError, match=r".+"):
        RawArray("i", -1)
    with pytest.raises(TypeError):
        RawArray("i", 2.5)


def test_an_array_takes_a_size_or_values() -> None:
    for _ in range(3):
        array = RawArray("i", 10)
        assert array[:] == [0] * 10
        array[:] = range(10)
    assert Array("d", range(3))[:] == [0.0, 1.0, 2.0]
    assert len(Array("i", 0)) == 0
    text = Array("c", b"hello")
    assert (text.value, text.raw, len(text)) == (b"hello", b"hello", 5)
    text.value = b"hi"
    assert (text.value, text.raw) == (b"hi", b"hi\0lo")


def test_the_lock_is_made_given_or_left_out() -> None:
    for lock in (True, None):
        assert isinstance(Value("i", lock=lock).get_lock(), RLock)
    mine = Lock()
    for made in (Value("i", 5, lock=mine), Array("i", 5, lock=mine)):
        assert made.get_lock() is mine
        with made:
            assert mine.locked()
        made.acquire()
        made.release()
    for made in (Value("i", 5, lock=False), Array("i", 5, lock=False), RawValue("i")):
        assert not hasattr(made, "get_lock")
        assert not hasattr(made, "get_obj")
    for make in (lambda: Value("i", lock="x"), lambda: Array("i", 1, lock="x")):
        with pytest.raises(AttributeError, match="acquire"):
            make()


def test_each_wrapper_is_one_of_the_stdlibs() -> None:
    for obj, kind in (
        (Value("i"), Synchronized),
        (Array("i", 1), SynchronizedArray),
        (Array("c", 1), SynchronizedString),
        (Value(Point), SynchronizedBase),
    ):
        assert isinstance(obj, kind)
        assert isinstance(obj, getattr(std, kind.__name__))
    assert type(Value(Point)) is type(Value(Point))
    assert type(Value(Point)).__name__ == "SynchronizedPoint"
    assert repr(Value("i", 3)) == "<Synchronized wrapper for c_int(3)>"


def test_synchronized_and_copy() -> None:
    with pytest.raises(AssertionError):
        synchronized(Value("i"))
    point = Point(1, 2.5)
    shared = copy(point)
    point.x = 7
    assert (shared.x, shared.y) == (1, 2.5)
    guarded = synchronized(shared)
    guarded.y = 3.5
    assert (shared.y, guarded.get_obj()) == (3.5, shared)


def test_numpy_sees_the_memory() -> None:
    shared = RawArray("d", 100)
    view = np.frombuffer(shared)
    view[:] = np.arange(100)
    assert shared[:] == list(range(100))
    assert view.flags.writeable
    assert view.flags.aligned
    guarded = Array("i", 4)
    np.frombuffer(guarded.get_obj(), dtype="i4")[:] = 6
    assert guarded[:] == [6] * 4


# ---- travelling ------------------------------------------------------------------------------


def double(number: Any, point: Any, array: Any, text: Any) -> None:
    number.value *= 2
    point.x *= 2
    text.value *= 2
    for i in range(len(array)):
        array[i] *= 2


@pytest.mark.parametrize("lock", [True, False])
def test_every_process_sees_the_same_memory(ctx: Any, lock: bool) -> None:
    number, point = Value("q", 2**33, lock=lock), Value(Point, 3, 2.5, lock=lock)
    array = Array("d", 5, lock=lock)
    text = Array("c", 20, lock=lock)
    array[:] = range(5)
    text.value = b"ab"
    end(start(ctx, double, number, point, array, text))
    assert (number.value, point.x, text.value) == (2**34, 6, b"abab")
    assert array[:] == [0, 2, 4, 6, 8]


def double_what_comes(incoming: Any, done: Any) -> None:
    double(*incoming.get())
    done.put(None)


def test_through_a_queue_into_a_running_process(ctx: Any) -> None:
    incoming, done = SimpleQueue(), SimpleQueue()
    process = start(ctx, double_what_comes, incoming, done)
    things = (Value("i", 4), RawValue(Point, 1, 1), RawArray("i", [1, 2]), Array("c", b"x\0"))
    incoming.put(things)
    done.get()
    assert (things[0].value, things[1].x, things[2][:], things[3].value) == (8, 2, [2, 4], b"xx")
    end(process)


def test_a_message_holds_the_memory_inside_it() -> None:
    queue: Any = SimpleQueue()
    queue.put(RawArray("i", [1, 2, 3]))
    others = [RawArray("i", [9, 9, 9]) for _ in range(20)]
    assert queue.get()[:] == [1, 2, 3]
    del others


def add_often(value: Any, rounds: int) -> None:
    for _ in range(rounds):
        with value.get_lock():
            value.value += 1


def test_a_counter_under_its_lock(ctx: Any) -> None:
    value = Value("i", 0)
    end(*[start(ctx, add_often, value, 500) for _ in range(3)])
    assert value.value == 1500


def die_holding(value: Any) -> None:
    value.acquire()
    value.value = 13
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_holder_that_died_is_told_to_the_next(ctx: Any) -> None:
    value = Value("i", 0)
    start(ctx, die_holding, value).join(LONG)
    with pytest.raises(OwnerDiedError):
        value.value += 1
    assert value.value == 13


class Tagged(Synchronized):  # type: ignore[type-arg]
    pass


def test_a_subclass_keeps_its_kind_and_attributes() -> None:
    tagged: Any = Tagged(RawValue("i", 3), RLock())
    tagged.tag = "x"
    again = loads(dumps(tagged))
    again.value += 1
    assert (type(again), again.tag, tagged.value) == (Tagged, "x", 4)


# ---- beside the stdlib's ---------------------------------------------------------------------


def read_both(ours: Any, theirs: Any, answers: Any) -> None:
    ours.value += 1
    theirs.value += 1
    answers.put((ours.value, theirs.value))


@pytest.mark.leaks("the stdlib keeps its arenas and its own fork server")
@pytest.mark.parametrize("ours_first", [True, False])
def test_either_registration_serves_both(ours_first: bool) -> None:
    makers = [lambda: RawValue("h", 5), lambda: std.RawValue("h", 5)]
    made = [make() for make in (makers if ours_first else reversed(makers))]
    ours, theirs = made if ours_first else reversed(made)
    for context in map(multiprocessing.get_context, ("spawn", "forkserver")):
        answers = SimpleQueue()
        process = start(context, read_both, ours, theirs, answers)
        answers.get()
        end(process)
    assert (ours.value, theirs.value) == (7, 7)
    for pickled in (dumps(ours), bytes(ForkingPickler.dumps(ours))):
        pickle.loads(pickled).value += 1
    assert ours.value == 9
    with pytest.raises(RuntimeError, match="inheritance"):
        ForkingPickler.dumps(theirs)


def test_two_threads_may_register_at_once() -> None:
    errors: list[Exception] = []

    def make() -> None:
        try:
            for size in range(1, 60):
                dumps(RawArray("i", size))
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
