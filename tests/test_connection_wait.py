"""poll and wait: what can be waited for together."""

import itertools
import multiprocessing
import multiprocessing.connection
import os
import socket
import time
from typing import Any

import pytest

from procession.connection import Connection, Pipe, wait
from tests.streams import running

pytest_plugins = ("tests.ends",)


@pytest.mark.parametrize("timeout", [0, 0.0, -1, 0.01])
def test_poll_that_finds_nothing(ends: tuple[Connection, Connection], timeout: float) -> None:
    start = time.monotonic()
    assert ends[0].poll(timeout) is False
    assert time.monotonic() - start >= timeout


def test_poll_that_finds_a_message(ends: tuple[Connection, Connection]) -> None:
    reader, writer = ends
    with running(lambda: (time.sleep(0.05), writer.send(1))):
        assert reader.poll(None) is True
    assert reader.poll() is True
    assert reader.poll(1 << 60) is True
    assert reader.recv() == 1
    with pytest.raises(TypeError):
        reader.poll("soon")  # type: ignore[arg-type]


def test_all_that_can_be_waited_for_together() -> None:
    one, other = socket.socketpair()
    reader, writer = Pipe()
    raw_reader, raw_writer = os.pipe()
    try:
        with reader, writer, one, other:
            things = [reader, one, raw_reader, reader.fileno()]
            assert wait(things, 0) == []
            writer.send(1)
            assert wait(things) == [reader, reader.fileno()]
            os.write(raw_writer, b"x")
            assert wait(things, 10) == [reader, raw_reader, reader.fileno()]
            other.close()
            assert wait(reversed(things)) == [reader.fileno(), raw_reader, one, reader]
            assert multiprocessing.connection.wait([reader, one]) == [reader, one]
            assert wait([], 0) == []
    finally:
        os.close(raw_reader)
        os.close(raw_writer)


def exit_with_message(queue: Any) -> None:
    queue.put("there")


def test_wait_on_sentinels_and_queues(ctx: Any) -> None:
    queue = ctx.Queue()
    process = ctx.Process(target=exit_with_message, args=(queue,))
    process.start()
    reader, writer = ctx.Pipe()
    with reader, writer:
        waiting = {reader, process.sentinel, queue._reader}
        seen = set()
        while {process.sentinel, queue._reader} - seen:
            seen |= set(wait(waiting - seen, 30))
        assert queue.get() == "there"
        assert reader not in seen
    process.join()
    queue.close()


@pytest.mark.parametrize("thing", [-1, "0", None, 1.5, object()])
def test_what_cannot_be_waited_for(thing: object) -> None:
    with pytest.raises(ValueError, match="descriptor"):
        wait([thing], 0)


def test_five_hundred_at_once() -> None:
    pairs = [Pipe() for _ in range(250)]
    for _, writer in pairs[::50]:
        writer.send(1)
    assert wait([reader for reader, _ in pairs], 10) == [reader for reader, _ in pairs[::50]]
    for end in itertools.chain(*pairs):
        end.close()
