"""Rings and claims of the native module: messages, limits, waiting, what messages carry."""

import itertools
import threading
import time
from array import array
from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procession import _family
from tests.kit.running import LONG, in_thread
from tests.test_core import SHORT, objects

SIZES = [0, 1, 7, 8, 100, 4000, 4032, 16 << 10, (16 << 10) + 1, 100_000, 300_000, 5 << 20]


@pytest.mark.parametrize("size", SIZES)
def test_messages_of_all_sizes(size: int) -> None:
    ring = _family.Ring()
    for data in (bytes(size), b"\xff" * size):
        assert ring.put(data) is True
        assert ring.put(b"next") is True
        assert ring.get() == data
        assert ring.get() == b"next"
    assert ring.get(False) is None


@given(st.lists(st.one_of(st.none(), st.integers(0, 40_000))), st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_a_ring_is_a_queue(steps: list[int | None], maxsize: int) -> None:
    ring, model = _family.Ring(maxsize), deque[bytes]()
    for number, size in enumerate(steps):
        if size is None:
            assert ring.get(False) == (model.popleft() if model else None)
        else:
            data = number.to_bytes(4, "big") + bytes(size)
            fits = not maxsize or len(model) < maxsize
            assert ring.put(data, False) is fits
            model.extend([data] * fits)
        assert ring.qsize() == len(model)
    assert [bytes(data) for data in ring.get_many(1000, False)] == list(model)


def test_any_contiguous_buffer_is_put() -> None:
    ring = _family.Ring()
    for data in (bytearray(b"abc"), memoryview(b"abc"), array("B", b"abc")):
        ring.put(data)
        assert ring.get() == b"abc"
    numbers = array("d", [1.0, 2.0])
    ring.put(numbers)
    assert ring.get() == numbers.tobytes()
    ring.put(memoryview(numbers))
    ring.put(_family.Block(3))
    ring.put(bytearray())
    assert ring.get_many(9) == [numbers.tobytes(), bytes(3), b""]


def test_what_has_no_bytes_or_has_them_scattered() -> None:
    ring = _family.Ring()
    for nonsense in ("text", 5, None, [1]):
        with pytest.raises(TypeError, match="bytes-like object is required"):
            ring.put(nonsense)
    with pytest.raises(BufferError, match="must be contiguous"):
        ring.put(memoryview(b"abcdef")[::2])
    with pytest.raises(BufferError, match="must be contiguous"):
        ring.put(memoryview(array("d", [1, 2, 3]))[::2])
    assert ring.qsize() == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ((), {}),
        ((b"", True, "a"), {}),
        ((b"",), {"wrong": 1}),
        ((b"", True, None, -1), {}),
        ((b"", True, None, 0, 5), {}),
    ],
)
def test_arguments_of_put_are_looked_at(arguments: Any) -> None:
    ring = _family.Ring()
    with pytest.raises((TypeError, OverflowError)):
        ring.put(*arguments[0], **arguments[1])
    with pytest.raises(TypeError):
        ring.get(True, "a")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a number of seconds"):
        ring.get(True, float("nan"))
    assert ring.qsize() == 0


def test_a_limit() -> None:
    ring = _family.Ring(2)
    assert ring.maxsize == 2
    assert ring.put(b"1")
    assert ring.put(b"2")
    for data in (b"3", bytes(20_000)):
        assert ring.put(data, False) is False
        assert ring.put(data, block=0, timeout=None) is False  # type: ignore[arg-type]
        assert ring.put(data, True, SHORT) is False
    thread = in_thread(lambda: (time.sleep(SHORT), ring.get()))
    assert ring.put(b"3", True, LONG)
    thread.join()
    assert ring.get_many(10) == [b"2", b"3"]
    for nonsense in (-1, 1 << 31, -(1 << 40)):
        with pytest.raises(ValueError, match=f"maxsize must be between 0 and 2147483647: {nonsense}"):
            _family.Ring(nonsense)


def test_a_getter_waits_for_a_message_no_longer_than_it_says() -> None:
    ring = _family.Ring()
    assert ring.get(True, SHORT) is None
    thread = in_thread(lambda: (time.sleep(SHORT), ring.put(b"late")))
    assert ring.get(True, LONG) == b"late"
    thread.join()


def test_many_at_once() -> None:
    ring = _family.Ring()
    items = [bytes([number % 256]) * (number * 37 % 30_000) for number in range(1000)]
    assert ring.put_many(iter(items)) == 1000
    assert ring.get_many(0) == []
    # Large ones are buffers.
    assert list(map(bytes, ring.get_many(10))) == items[:10]
    assert list(map(bytes, ring.get_many(5000))) == items[10:]
    assert ring.get_many(5, False) == ring.get_many(5, True, SHORT) == []
    assert ring.put_many([]) == 0
    narrow = _family.Ring(3)
    assert narrow.put_many(items, False) == 3
    assert narrow.put_many(items, True, SHORT) == 0
    assert list(map(bytes, narrow.get_many(9))) == items[:3]


def test_large_messages_are_given_where_they_lie() -> None:
    ring, before = _family.Ring(), _family.heap_stats()["objects"]
    for _ in range(3):
        ring.put([b"x" * 20_000, bytearray(b"y" * 20_000), b""])
    whole = b"x" * 20_000 + b"y" * 20_000
    first, second = ring.take(), ring.get_many(1)[0]
    assert (type(first), type(second), len(first or b"")) == (_family.NativeBuffer,) * 2 + (40_000,)
    assert memoryview(first or b"").readonly
    assert bytes(first or b"") == bytes(second) == ring.get() == whole
    assert _family.heap_stats()["objects"] == before + 2
    del first, second
    assert _family.heap_stats()["objects"] == before
    with pytest.raises(TypeError):
        ring.put([b"x", 5])
    assert ring.qsize() == 0


def test_where_one_of_many_cannot_be_put_none_is() -> None:
    ring = _family.Ring()
    for items in ([b"1", "text"], (b"1", 5), itertools.chain([b"1"], (1 // 0 for _ in "a"))):
        with pytest.raises((TypeError, ZeroDivisionError)):
            ring.put_many(items)  # type: ignore[arg-type]
    assert ring.qsize() == 0
    with pytest.raises(OverflowError):
        ring.get_many(-1)


# ---- what messages carry ------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 10_000, 100_000])
def test_a_message_holds_what_it_carries(size: int) -> None:
    ring, event = _family.Ring(), _family.EventWord()
    before, handle = objects(), event._handle()
    ring.put(bytes(size), carry=[event, event])
    ring.put(b"", carry=(ring,))
    del event
    assert objects() == before
    assert ring.get() == bytes(size)
    assert ring.carried() == [handle, handle]
    _family.EventWord._attach(handle).set()
    assert ring.get() == b""
    assert ring.carried() == [ring._handle()]
    assert objects() == before - 1
    ring.drop_carried()
    assert ring.carried() == []


def test_what_was_carried_is_kept_for_the_thread_that_took_it() -> None:
    ring, before = _family.Ring(), objects()
    for _ in range(2):
        ring.put(b"", True, None, 0, [_family.EventWord()])
    kept: list[Any] = []
    taken, go = threading.Event(), threading.Event()

    def take() -> None:
        ring.get()
        kept.extend(ring.carried())
        taken.set()
        go.wait(LONG)

    thread = in_thread(take)
    taken.wait(LONG)
    assert ring.carried() == []
    ring.get()
    assert ring.carried() != kept != []
    ring.drop_carried()
    assert objects() == before + 1
    go.set()
    thread.join()
    assert objects() == before, "gone with the thread"


def test_many_messages_carry_together() -> None:
    ring, events = _family.Ring(), [_family.EventWord() for _ in range(5)]
    for event in events:
        ring.put(b"", carry=[event])
        ring.put(b"plain")
    assert len(ring.get_many(10)) == 10
    assert ring.carried() == [event._handle() for event in events]
    assert ring.get(False) is None
    assert ring.carried() == []


def test_only_shared_objects_are_carried() -> None:
    ring = _family.Ring()
    for nonsense in ([1], ["text"], [None], 5):
        with pytest.raises(TypeError):
            ring.put(b"", carry=nonsense)  # type: ignore[arg-type]
    assert ring.qsize() == 0


def test_a_ring_that_goes_lets_go_what_it_carries() -> None:
    before = objects()
    ring = _family.Ring()
    ring.put(b"", carry=[_family.EventWord(), ring])
    assert objects() == before + 2
    ring.get()
    ring.drop_carried()
    ring.put(bytes(100_000), carry=[_family.Ring()])
    del ring
    assert objects() == before


# ---- waiting without taking ---------------------------------------------------------------


def test_readable_and_drained() -> None:
    ring = _family.Ring()
    assert ring.wait_drained() is True
    assert ring.wait_readable(SHORT) is False
    thread = in_thread(lambda: (time.sleep(SHORT), ring.put(b"1"), ring.put(b"2")))
    assert ring.wait_readable(LONG) is True
    thread.join()
    assert ring.wait_drained(SHORT) is False
    thread = in_thread(lambda: (time.sleep(SHORT), ring.get(), ring.get()))
    assert ring.wait_drained(LONG) is True
    thread.join()
    assert ring.qsize() == 0


@pytest.mark.parametrize("method", ["get", "wait_readable", "get_many"])
def test_interrupt_ends_waits(method: str) -> None:
    ring, ended = _family.Ring(), []
    arguments = {"get": (True, LONG), "wait_readable": (LONG,), "get_many": (5, True, LONG)}[method]
    threads = [in_thread(lambda: ended.append(getattr(ring, method)(*arguments))) for _ in range(3)]
    while any(thread.is_alive() for thread in threads):
        ring.interrupt()
        time.sleep(0.001)
    assert not any(ended)


def test_interrupt_ends_waiting_for_emptiness() -> None:
    ring = _family.Ring()
    ring.put(b"")
    thread = in_thread(lambda: ring.wait_drained(LONG))
    while thread.is_alive():
        ring.interrupt()
        time.sleep(0.001)
    assert ring.get() == b""


def test_tasks_are_counted() -> None:
    ring = _family.Ring()
    assert ring.join()
    assert ring.unfinished() == 0
    with pytest.raises(ValueError, match=r"task_done\(\) called too many times"):
        ring.task_done()
    ring.put_many([b"", b""])
    assert ring.unfinished() == 2
    ring.get_many(2)
    assert ring.join(SHORT) is False
    ring.task_done()
    thread = in_thread(lambda: (time.sleep(SHORT), ring.task_done()))
    assert ring.join(LONG) is True
    thread.join()


# ---- claims -------------------------------------------------------------------------------


def test_a_claim_is_what_its_worker_took() -> None:
    ring, claims = _family.Ring(), _family.Claims(3)
    ring.put(b"task", tag=77)
    assert ring.get_claimed(claims, 2) == b"task"
    assert [claims.read(slot) for slot in range(3)] == [None, None, (77, 0, False, False, 0)]
    assert claims.begin(2, 5, 10)
    assert claims.read(2) == (77, 5, True, False, 10)
    assert ring.cut(claims, 2, 77, 1) == (77, 6, 10)
    assert ring.cut(claims, 2, 77, 1) is None
    claims.answer(2)
    assert claims.read(2) == (77, 5, True, True, 6)
    assert not claims.begin(2, 6, 10)
    ring.put(bytes(50_000), True, None, 2**64 - 1)
    assert bytes(ring.get_claimed(claims, 2, True, LONG) or b"") == bytes(50_000)
    assert claims.read(2) == (2**64 - 1, 0, False, False, 0)
    ring.settle()
    assert claims.read(2) == (2**64 - 1, 0, False, False, 0)
    claims.clear(2)
    assert claims.read(2) is None
    assert ring.get_claimed(claims, 0, False) is None
    assert ring.get_claimed(claims, 0, True, SHORT) is None


def test_slots_that_there_are_not() -> None:
    claims = _family.Claims(2)
    for slot in (2, -1, 1 << 40):
        for use in (claims.read, claims.clear, claims.answer, lambda slot: claims.begin(slot, 0, 1)):
            with pytest.raises(IndexError, match=f"slot {slot} of 2"):
                use(slot)
    with pytest.raises(IndexError):
        _family.Ring().get_claimed(claims, 2, False)
    for slots in (0, -1, 1 << 20):
        with pytest.raises(ValueError, match="slots must be between 1 and"):
            _family.Claims(slots)
    with pytest.raises(TypeError):
        _family.Ring().get_claimed(5, 0)  # type: ignore[arg-type]
