"""Messages on a stream: whole, in order, none read ahead, whatever the pieces and the threads."""

import contextlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import select
import signal
import socket
import struct
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procession._framing import Inbox
from procession.connection import Connection, Pipe, wait
from tests.streams import InterruptError, alarms, interrupt, running

LARGE = (1 << 31) + 3

pytest_plugins = ("tests.ends",)


# ---- messages ------------------------------------------------------------------------------


def test_objects_and_bytes_in_their_order(ends: tuple[Connection, Connection]) -> None:
    reader, writer = ends
    writer.send({"a": [1, 2]})
    writer.send_bytes(b"raw")
    writer.send(lambda: 5)
    writer.send_bytes(b"")
    assert reader.recv() == {"a": [1, 2]}
    assert reader.recv_bytes() == b"raw"
    assert reader.recv()() == 5
    assert reader.recv_bytes() == b""
    assert not reader.poll()


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=200) | st.integers(65530, 65540).map(bytes), max_size=4))
def test_either_end_may_be_the_stdlibs(messages: list[bytes]) -> None:
    pairs = [multiprocessing.Pipe(), Pipe()]
    for (one, other), kind in itertools.product(pairs, [multiprocessing.connection.Connection, Connection]):
        theirs = kind(os.dup(one.fileno()))
        with theirs:
            for sender, receiver in ((theirs, other), (other, theirs)):
                for message in messages:
                    sender.send_bytes(message)
                    assert receiver.recv_bytes() == message
                    sender.send([message])
                    assert receiver.recv() == [message]
    for end in itertools.chain(*pairs):
        end.close()


@given(st.lists(st.binary(max_size=80), max_size=6), st.data())
def test_a_stream_in_pieces_is_read_as_messages(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(struct.pack("!i", len(message)) + message for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    into = data.draw(st.booleans())
    reader, writer = socket.socketpair()

    def write() -> None:
        for start, end in itertools.pairwise([0, *cuts, len(stream)]):
            writer.sendall(stream[start:end])
        writer.close()

    inbox, got = Inbox(), []
    with reader, running(write):
        for message in messages:
            if into:
                buffer = bytearray(100)
                size = inbox.receive_into(reader.fileno(), memoryview(buffer))
                got.append(bytes(buffer[:size]))
            else:
                got.append(inbox.receive(reader.fileno(), len(message)))
        with pytest.raises(EOFError):
            inbox.receive(reader.fileno())
    assert got == messages


def test_nothing_is_read_ahead(ends: tuple[Connection, Connection]) -> None:
    reader, writer = ends
    for number in range(3):
        writer.send(number)
    for number in range(3):
        assert select.select([reader], [], [], 0)[0] == [reader]
        assert reader.recv() == number
    assert select.select([reader], [], [], 0)[0] == []


def test_a_message_of_more_than_two_gigabytes() -> None:
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if available < 4 << 30:
        pytest.skip(f"needs 4 GiB of memory; {available >> 30} are free")
    reader, writer = Pipe()
    data = bytes(LARGE)
    with reader, writer, running(lambda: (writer.send_bytes(data), writer.send("next"))):
        assert len(reader.recv_bytes()) == LARGE
        assert reader.recv() == "next"


def test_the_head_of_a_large_message_is_the_stdlibs() -> None:
    reader, writer = Pipe()
    with reader:
        os.write(writer.fileno(), struct.pack("!iQ", -1, 5) + b"small")
        assert reader.recv_bytes() == b"small"
        os.write(writer.fileno(), struct.pack("!iQ", -1, LARGE) + b"cut")
        writer.close()
        with pytest.raises(OSError, match="end of file during message"):
            reader.recv_bytes()


@pytest.mark.parametrize("size", [1 << 16, (1 << 16) + 1, 3_000_000])
def test_more_than_the_buffer_holds(ends: tuple[Connection, Connection], size: int) -> None:
    reader, writer = ends
    data = os.urandom(size)
    with running(lambda: [writer.send_bytes(data), writer.send([data]), writer.send_bytes(data)]):
        assert reader.recv_bytes() == data
        assert reader.recv() == [data]
        buffer = bytearray(size + 2)
        assert reader.recv_bytes_into(buffer, 1) == size
        assert buffer == b"\0" + data + b"\0"


# ---- threads -------------------------------------------------------------------------------


def test_threads_share_an_end() -> None:
    reader, writer = Pipe()
    sizes = [10, 5_000, 70_000, 300_000] * 5
    numbers = range(1, 5)
    got: list[bytes] = []

    def send(number: int) -> None:
        for size in sizes:
            writer.send_bytes(bytes([number]) * size)

    def receive() -> None:
        got.extend(reader.recv_bytes() for _ in sizes)

    with reader, writer, contextlib.ExitStack() as threads:
        for number in numbers:
            threads.enter_context(running(send, number))
            threads.enter_context(running(receive))
    assert all(message == message[:1] * len(message) for message in got)
    expected = sorted(itertools.product(numbers, sizes))
    assert sorted((message[0], len(message)) for message in got) == expected


def test_a_forked_child_is_not_held_up_by_a_thread_of_its_parent() -> None:
    reader, writer = Pipe()
    answers, answer = Pipe(duplex=False)
    blocked = threading.Event()

    def fill() -> None:
        blocked.set()
        writer.send_bytes(bytes(10_000_000))

    thread = threading.Thread(target=fill)
    thread.start()
    blocked.wait()
    while select.select([], [writer], [], 0)[1]:
        time.sleep(0.001)
    pid = os.fork()
    if not pid:
        # The thread held the turn to send, and is not here; the socket is full because of it.
        signal.alarm(20)
        with alarms(interrupt, 0.1):
            try:
                writer.send("the child's")
            except InterruptError:
                answer.send("it was the pipe that made me wait")
        os._exit(0)
    assert answers.recv() == "it was the pipe that made me wait"
    os.waitpid(pid, 0)
    assert len(reader.recv_bytes()) == 10_000_000
    thread.join()
    for end in (reader, writer, answers, answer):
        end.close()


# ---- descriptors that others have made non-blocking ----------------------------------------


def test_a_non_blocking_descriptor() -> None:
    reader, writer = Pipe()
    data = os.urandom(5_000_000)
    with reader, writer:
        os.set_blocking(reader.fileno(), False)
        os.set_blocking(writer.fileno(), False)
        with pytest.raises(BlockingIOError):
            reader.recv_bytes()

        def send() -> None:
            for _ in range(2):
                select.select([], [writer], [])
                writer.send_bytes(data)

        with running(send):
            for _ in range(2):
                wait([reader])
                assert reader.recv_bytes() == data
