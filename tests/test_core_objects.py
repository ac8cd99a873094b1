"""Objects through a ring of the native module in one call: plain ones are put, any are fetched."""

import pickle
import threading
from typing import Any

import pytest

from procession import _family
from procession.reduction import parts
from procession.synchronize import Lock
from tests.kit.running import in_thread
from tests.test_core import objects
from tests.test_core_plain import NOT_PLAIN, PLAIN, same

NONE = object()


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:20])
def test_what_is_offered_is_an_ordinary_message(value: Any) -> None:
    ring = _family.Ring()
    assert ring.offer(value) is True
    assert ring.offer(value) is True
    assert same(pickle.loads(ring.get() or b""), value)
    assert same(ring.fetch(NONE), value)
    assert ring.fetch(NONE) is NONE


@pytest.mark.parametrize("value", NOT_PLAIN, ids=lambda value: repr(value)[:20])
def test_what_is_not_plain_is_not_put_but_fetched(value: Any) -> None:
    ring = _family.Ring()
    assert ring.offer(value) is False
    assert ring.qsize() == 0
    ring.put(pickle.dumps(value, 5))
    assert same(ring.fetch(NONE), value)


def test_large_messages_are_fetched_too() -> None:
    ring, value = _family.Ring(), ["x" * 100_000, b"y" * 1_000_000]
    ring.put(pickle.dumps(value, 5))
    ring.offer(b"z" * 50_000)
    assert ring.fetch(NONE) == value
    assert ring.fetch(NONE) == b"z" * 50_000


def test_chunk_after_chunk() -> None:
    ring = _family.Ring()
    items = [b"x" * (number * 37 % 12_000) for number in range(500)]
    assert all(map(ring.offer, items))
    assert [ring.fetch(NONE) for _ in items] == items


def test_a_full_ring_and_one_that_was_shut_take_no_offer() -> None:
    ring = _family.Ring(1)
    assert [ring.offer(1), ring.offer(2), ring.offer(b"x" * 50_000)] == [True, False, False]
    assert ring.fetch(NONE) == 1
    assert ring.offer(b"x" * 50_000)
    ring.shut()
    assert ring.offer(3) is False
    assert ring.fetch(NONE) == b"x" * 50_000
    assert ring.fetch(NONE) is NONE


def test_what_cannot_be_loaded_is_gone() -> None:
    ring = _family.Ring()
    ring.put(b"nonsense")
    ring.offer(1)
    with pytest.raises(pickle.UnpicklingError):
        ring.fetch(NONE)
    assert ring.fetch(NONE) == 1


def test_what_a_message_carries_lives_until_its_object_is_made_and_no_longer() -> None:
    ring, carry, before = _family.Ring(), list[Any](), objects()
    ring.put(parts([Lock()], carry), True, None, 0, carry)
    carry.clear()
    assert objects() == before + 1
    (lock,) = ring.fetch(NONE)
    assert lock.acquire(False)
    assert ring.carried() == []
    del lock
    assert objects() == before
    ring.put(b"nonsense", carry=[_family.EventWord()])
    with pytest.raises(pickle.UnpicklingError):
        ring.fetch(NONE)
    assert objects() == before


class Nested:
    """What it takes from the ring when it is loaded comes before what is told of it."""

    ring: Any = None

    def __reduce__(self) -> Any:
        return Nested.take, ()

    @staticmethod
    def take() -> Any:
        return [Nested.ring.fetch(NONE)]


def test_an_object_that_takes_another_when_it_is_loaded() -> None:
    Nested.ring = _family.Ring()
    Nested.ring.put(pickle.dumps(Nested(), 5))
    Nested.ring.offer("inner")
    assert Nested.ring.fetch(NONE) == ["inner"]


def test_arguments_are_looked_at() -> None:
    ring: Any = _family.Ring()
    for call in (ring.offer, ring.fetch, lambda: ring.offer(1, 2), lambda: ring.fetch(1, 2)):
        with pytest.raises(TypeError):
            call()
    for call in (lambda: ring.offer(value=1), lambda: ring.fetch(other=1), lambda: type(ring).offer(5, 5)):
        with pytest.raises(TypeError):
            call()
    assert ring.qsize() == 0


def test_threads_share_a_ring() -> None:
    ring, taken, count = _family.Ring(), list[int](), 20_000
    threads = [
        in_thread(lambda first=first: [ring.offer(n) for n in range(first, count, 2)]) for first in (0, 1)
    ]
    done = threading.Event()

    def take() -> None:
        while not done.is_set() or ring.qsize():
            item = ring.fetch(NONE)
            if item is not NONE:
                taken.append(item)

    takers = [in_thread(take) for _ in range(2)]
    for thread in threads:
        thread.join()
    done.set()
    for thread in takers:
        thread.join()
    assert sorted(taken) == list(range(count))
