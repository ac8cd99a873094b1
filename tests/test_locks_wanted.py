"""Locks: what acquire is asked for, and locks that several want all the time."""

from typing import Any

import pytest

from procession.errors import OwnerDiedError
from procession.sharedctypes import RawArray
from procession.synchronize import Event, Lock, RLock, Semaphore
from tests.kit import eventually
from tests.kit.running import end, killed, start

# ---- arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Lock, RLock, Semaphore])
@pytest.mark.parametrize(
    ("places", "names"),
    [
        ((), {}),
        ((True,), {}),
        ((0,), {}),
        (([],), {}),
        ((True, None), {}),
        ((True, 0.5), {}),
        ((1, 2), {}),
        ((False, -1.0), {}),
        ((), {"timeout": 1}),
        ((), {"timeout": 0.5}),
        ((), {"timeout": None}),
        ((), {"block": False}),
        ((True,), {"timeout": 2}),
        ((), {"timeout": 1, "block": True}),
    ],
)
def test_a_free_lock_is_taken_with_whatever_arguments(kind: Any, places: Any, names: Any) -> None:
    lock = kind()
    assert lock.acquire(*places, **names) is True
    assert lock.locked()
    lock.release()


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize(
    ("places", "names"),
    [
        ((True, 1, 2), {}),
        ((True, 1), {"timeout": 1}),
        ((True,), {"block": True}),
        ((True, "x"), {}),
        ((), {"timeout": "x"}),
        ((), {"blocking": True}),
        ((), {"timeout": 1, "block": True, "more": 1}),
    ],
)
def test_nonsense_is_refused_whether_the_lock_is_free_or_not(taken: bool, places: Any, names: Any) -> None:
    lock = Lock()
    if taken:
        lock.acquire()
    with pytest.raises(TypeError):
        lock.acquire(*places, **names)
    assert lock.locked() is taken
    with pytest.raises(TypeError):
        lock.release(1)
    with pytest.raises(TypeError):
        lock.__enter__(1)
    assert lock.locked() is taken


@pytest.mark.parametrize("names", [{"block": False}, {"timeout": 0}, {"timeout": -1}, {"timeout": 0.01}])
def test_a_taken_lock_is_not_taken_again(names: Any) -> None:
    lock = Lock()
    with lock:
        assert lock.acquire(**names) is False
    assert lock.acquire(**names) is True


# ---- wanted by several all the time ------------------------------------------------------------


def take_all_the_time(lock: Any, sums: Any, place: int, stop: Any) -> None:
    """Adds to the sum of all and to its own; `sums[-1]` counts the dead that it was told of."""
    while not stop.is_set():
        for _ in range(100):
            try:
                lock.acquire()
            except OwnerDiedError:
                with lock:
                    sums[-1] += 1
                continue
            sums[0] += 1
            sums[place] += 1
            lock.release()


@pytest.mark.parametrize("kind", [Lock, RLock])
def test_all_get_it_and_go_on_when_one_is_killed(ctx: Any, kind: Any) -> None:
    lock, stop, sums = kind(), Event(), RawArray("q", 6)
    processes = [start(ctx, take_all_the_time, lock, sums, place, stop) for place in range(1, 5)]
    assert eventually(lambda: min(sums[1:5]) > 1000)
    killed(processes[0])
    before = sums[:]
    assert eventually(lambda: all(sums[place] > before[place] + 1000 for place in (2, 3, 4)))
    stop.set()
    end(*processes[1:])
    assert sums[0] - sum(sums[1:5]) in (0, 1)
    assert sums[5] in (0, 1)
    assert not lock.locked()
