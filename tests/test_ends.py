"""The ends of a queue, as libraries use them."""

import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from procession.queues import Queue, SimpleQueue
from tests.kit.running import in_thread


def test_reader_and_writer_move_objects_and_bytes() -> None:
    made: Any = SimpleQueue()
    made._writer.send([1])
    made._writer.send_bytes(b"abcdef", 1, 3)
    made._writer.send_bytes(memoryview(b"xyz"))
    assert made.get() == [1]
    assert made._reader.recv_bytes() == b"bcd"
    with pytest.raises(OSError, match="length"):
        made._reader.recv_bytes(2)
    for offset, size in ((-1, None), (4, None), (0, 4), (1, -1)):
        with pytest.raises(ValueError, match="offset"):
            made._writer.send_bytes(b"abc", offset, size)
    with pytest.raises(ValueError, match="negative"):
        made._reader.recv_bytes(-1)


def test_poll_waits_for_a_message() -> None:
    made: Any = SimpleQueue()
    assert not made._reader.poll()
    began = time.monotonic()
    assert not made._reader.poll(0.05)
    assert time.monotonic() - began >= 0.05
    thread = in_thread(lambda: (time.sleep(0.05), made.put(1)))
    assert made._reader.poll(None)
    thread.join()
    assert made.get() == 1


def test_a_closed_end_closes_that_direction_only() -> None:
    made: Any = Queue()
    made._writer.close()
    with pytest.raises(OSError, match="closed"):
        made.put(1)
    other: Any = SimpleQueue()
    other.put(1)
    with other._reader as reader:
        assert reader.recv() == 1
    other.put(2)
    with pytest.raises(OSError, match="closed"):
        other.get()


def square(number: int) -> int:
    return number * number


def test_a_process_pool_executor_lives_on_our_queues(ctx: Any) -> None:
    with ProcessPoolExecutor(2, mp_context=ctx) as executor:
        assert list(executor.map(square, range(50))) == [number * number for number in range(50)]
