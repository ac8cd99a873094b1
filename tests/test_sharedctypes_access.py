"""What is read and written under a wrapper's lock, and what may come in between."""

import ctypes
import gc
import signal
import threading
import weakref
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from procession.errors import OwnerDiedError
from procession.sharedctypes import Array, RawArray, Synchronized, SynchronizedString, Value
from procession.synchronize import Event, Lock, RLock, Semaphore
from tests.kit import eventually
from tests.kit.running import end, killed, start


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


class Counting(RLock):
    """Counts in Python how often it is taken and given."""

    taken = given = 0

    def acquire(self, *args: Any, **kwargs: Any) -> bool:
        self.taken += 1
        return super().acquire(*args, **kwargs)

    def release(self) -> None:
        self.given += 1
        super().release()


class Observed:
    """A lock of the user's own making."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def acquire(self) -> None:
        self.calls.append("acquire")

    def release(self) -> None:
        self.calls.append("release")


def test_each_access_takes_the_lock_as_a_subclass_of_it_does() -> None:
    lock = Counting()
    number, text, point = (Value("i", lock=lock), Array("c", 4, lock=lock), Value(Point, lock=lock))
    number.value += 1
    text.raw = text.value + b"abc"
    point.y = point.x + 2.5
    assert (lock.taken, lock.given) == (6, 6)
    assert (number.value, text.value, point.y) == (1, b"abc", 2.5)


def test_any_object_with_acquire_and_release_is_a_lock() -> None:
    lock = Observed()
    value = Value("i", 3, lock=lock)
    value.value += 1
    assert lock.calls == ["acquire", "release"] * 2
    with pytest.raises(TypeError):
        value.value = "x"
    assert lock.calls == ["acquire", "release"] * 3
    between = Value("i", 3, lock=threading.RLock())
    with between.get_lock():
        between.value += 1
    assert between.value == 4


@pytest.mark.parametrize("kind", [Lock, RLock])
def test_a_refused_access_leaves_the_lock_free(kind: Any) -> None:
    value, point = Value("i", 3, lock=kind()), Value(Point, lock=kind())
    with pytest.raises(TypeError):
        value.value = "x"
    with pytest.raises(TypeError):
        point.x = "x"
    with pytest.raises(AttributeError):
        del value.value
    assert not value.get_lock().locked()
    assert not point.get_lock().locked()
    assert value.value == 3


def test_an_access_takes_a_lock_that_is_not_recursive_once_more() -> None:
    value = Value("i", lock=Lock())
    with value.get_lock():
        assert value.get_obj().value == 0
        signal.signal(signal.SIGALRM, _raise)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(AlarmError):
            value.value = 1
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    value.value += 2
    assert value.value == 2


class AlarmError(Exception):
    pass


def _raise(*_args: object) -> None:
    raise AlarmError


@pytest.mark.parametrize("make", [lambda: Value("i"), lambda: Value(Point)])
def test_a_handler_that_raises_at_any_moment_leaves_the_lock_free(make: Any) -> None:
    value, name, rounds = make(), "x" if "Point" in repr(make()) else "value", 0
    signal.signal(signal.SIGALRM, _raise)
    for number in range(1, 400):
        with suppress(AlarmError):
            signal.setitimer(signal.ITIMER_REAL, number * 1e-6)
            while True:
                setattr(value, name, getattr(value, name) + 1)
                rounds += 1
        assert not value.get_lock().locked()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert 0 <= getattr(value, name) - rounds <= 400


def add_and_tell(value: Any, told: Any, place: int, deaths: Any, stop: Any) -> None:
    while not stop.is_set():
        try:
            with value.get_lock():
                value.value += 1
                told[place] += 1
        except OwnerDiedError:
            deaths.release()


def test_a_counter_goes_on_when_one_who_counts_is_killed(ctx: Any) -> None:
    value, told, deaths, stop = Value("q"), RawArray("q", 3), Semaphore(0), Event()
    processes = [start(ctx, add_and_tell, value, told, place, deaths, stop) for place in range(3)]
    assert eventually(lambda: min(told) > 100)
    killed(processes[0])
    before = list(told)
    assert eventually(lambda: all(told[place] > before[place] + 100 for place in (1, 2)))
    stop.set()
    end(*processes[1:])
    # Killed in the middle of it, it may have counted what it did not tell.
    assert value.value - sum(told) in (0, 1)
    assert deaths.get_value() in (0, 1)
    assert not value.get_lock().locked()


def test_its_parts_may_be_set_as_the_stdlibs_may() -> None:
    value, other = Value("i", 1), Value("i", 5)
    value._obj = other.get_obj()
    assert (value.value, value.get_obj().value) == (5, 5)
    lock = Observed()
    value.acquire, value.release = lock.acquire, lock.release
    assert value.value == 5
    assert lock.calls == ["acquire", "release"]
    assert value.acquire() is None


def test_one_that_was_not_initialised_says_so() -> None:
    empty = Synchronized.__new__(Synchronized)
    names = ["value", "acquire", "release", "_obj", "_lock"]
    for use in [*(partial(getattr, empty, name) for name in names), empty.get_lock]:
        with pytest.raises(AttributeError, match="__init__"):
            use()
    assert isinstance(Synchronized.value, type(SynchronizedString.raw))
    with pytest.raises(TypeError):
        Synchronized.value.__get__(3)


def test_one_in_a_circle_of_references_is_collected() -> None:
    value = Value("i", 1)
    value.itself = value
    value.get_lock().of = value
    gone = weakref.ref(value)
    del value
    gc.collect()
    assert gone() is None
