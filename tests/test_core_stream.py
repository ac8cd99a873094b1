"""Small messages on a socket in one native step: done, or nothing begun."""

import os
import socket
import struct
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from procession import _family
from tests.kit.running import in_thread

LONGEST = 4092

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def framed(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


@pytest.mark.parametrize("data", [b"", b"x", b"y" * LONGEST, bytearray(b"z"), memoryview(b"abc")])
def test_it_speaks_as_the_stdlibs_connection_does(ends: Ends, data: Any) -> None:
    stream, there = _family.Stream(), Connection(os.dup(ends[1].fileno()))
    assert stream.send(ends[0].fileno(), data)
    assert there.recv_bytes() == bytes(data)
    there.send_bytes(bytes(data))
    assert stream.receive(ends[0].fileno()) == bytes(data)
    assert stream.receive(ends[0].fileno()) is None
    there.close()


def test_one_message_is_taken_and_no_more(ends: Ends) -> None:
    stream, fd = _family.Stream(), ends[1].fileno()
    ends[0].sendall(framed(b"one") + framed(b"") + framed(b"three"))
    assert [stream.receive(fd) for _ in range(4)] == [b"one", b"", b"three", None]


def handed_over(stream: _family.Stream) -> bytes:
    head: list[bytes] = []
    body: list[bytes] = []
    stream.hand_over(head, body)
    assert len(b"".join(head)) == 4 or not body
    return b"".join(head + body)


def test_what_is_not_there_whole_is_kept_for_who_goes_on_with_it(ends: Ends) -> None:
    sent, stream = framed(b"hello"), _family.Stream()
    for there in range(len(sent)):
        ends[0].sendall(sent[:there])
        assert stream.receive(ends[1].fileno()) is None
        ends[0].sendall(sent[there:])
        if there:
            assert stream.receive(ends[1].fileno()) is None
        assert handed_over(stream) == sent[:there]
        assert ends[1].recv(len(sent) - there) == sent[there:] if there else True
        assert handed_over(stream) == b""
        while there == 0 and stream.receive(ends[1].fileno()) is None:
            pass


@pytest.mark.parametrize(
    "sent", [framed(b"x" * (LONGEST + 1)), struct.pack("!iQ", -1, 3) + b"abc", b"\x80" * 9]
)
def test_of_what_is_longer_or_no_length_only_the_length_is_taken(ends: Ends, sent: bytes) -> None:
    stream = _family.Stream()
    ends[0].sendall(sent)
    assert stream.receive(ends[1].fileno()) is None
    assert handed_over(stream) == sent[:4]
    assert ends[1].recv(len(sent)) == sent[4:]


def test_nothing_is_read_ahead(ends: Ends) -> None:
    stream = _family.Stream()
    ends[0].sendall(framed(b"one") + framed(b"two")[:3])
    assert stream.receive(ends[1].fileno()) == b"one"
    assert ends[1].recv(100) == framed(b"two")[:3]


def test_what_finds_no_room_is_not_begun(ends: Ends) -> None:
    stream, count = _family.Stream(), 0
    while stream.send(ends[0].fileno(), b"x" * 4000):
        count += 1
    assert not stream.send(ends[0].fileno(), b"y" * LONGEST)
    received = 0
    while stream.receive(ends[1].fileno()) == b"x" * 4000:
        received += 1
    assert received == count > 0
    assert not stream.send(ends[0].fileno(), b"x" * (LONGEST + 1))
    with pytest.raises(BlockingIOError):
        ends[1].recv(1, socket.MSG_DONTWAIT)


def test_a_socket_that_takes_messages_in_pieces_is_left_alone(ends: Ends) -> None:
    ends[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    assert not _family.Stream().send(ends[0].fileno(), b"x" * LONGEST)
    with pytest.raises(BlockingIOError):
        ends[1].recv(1, socket.MSG_DONTWAIT)


def test_where_nobody_is_any_more_nothing_happens(ends: Ends) -> None:
    ends[1].close()
    stream = _family.Stream()
    assert not stream.send(ends[0].fileno(), b"x")
    assert stream.receive(ends[0].fileno()) is None


def test_a_pipe_does_as_well() -> None:
    stream, other, (read, write) = _family.Stream(), _family.Stream(), os.pipe()
    assert stream.receive(read) is None
    for data in (b"", b"x", b"y" * LONGEST):
        assert other.send(write, data)
        assert stream.receive(read) == data
    os.write(write, framed(b"hello")[:6])
    assert stream.receive(read) is None
    assert handed_over(stream) == framed(b"hello")[:6]
    count = 0
    while other.send(write, b"x" * 1000):
        count += 1
    assert not other.send(write, b"y" * LONGEST)
    assert count == sum(stream.receive(read) == b"x" * 1000 for _ in range(count)) > 0
    assert stream.receive(read) is None
    os.close(write)
    assert stream.receive(read) is None
    os.close(read)
    for fd in (read, -1, 10**6):
        assert not stream.send(fd, b"x")
        assert stream.receive(fd) is None


def test_other_descriptors_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(framed(b"x"))
    with path.open("r+b") as file:
        assert _family.Stream().receive(file.fileno()) is None
        assert not _family.Stream().send(file.fileno(), b"abc")
    assert path.read_bytes() == framed(b"x")


def test_a_pipe_that_nobody_reads_is_nobodys_end() -> None:
    read, write = os.pipe()
    os.close(read)
    assert not _family.Stream().send(write, b"x")
    os.close(write)


def test_over_a_network_a_message_is_received_and_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    stream = _family.Stream()
    with one, other:
        # The system may take some of the bytes, and then they have been sent.
        assert not stream.send(one.fileno(), b"x")
        one.sendall(framed(b"hello"))
        other.recv(1, socket.MSG_PEEK)
        assert stream.receive(other.fileno()) == b"hello"


def test_a_message_that_comes_in_a_moment_is_received(ends: Ends) -> None:
    _family.family()
    stream, fd = _family.Stream(), ends[1].fileno()
    echo = in_thread(lambda: [ends[0].send(ends[0].recv(100)) for _ in range(100)])
    for number in range(100):
        assert stream.send(fd, b"%d" % number)
        # Others may be looking too, and only so many may.
        while (data := stream.receive(fd)) is None:
            pass
        assert data == b"%d" % number
    echo.join()


def test_messages_of_many_lengths_one_behind_the_other(ends: Ends) -> None:
    stream, fd = _family.Stream(), ends[1].fileno()
    lengths = [0, 1, 300, 5, LONGEST, 0, 252, 253, 100, LONGEST, 2044, 2045]
    for length in lengths:
        assert stream.send(ends[0].fileno(), b"x" * length)
    assert [stream.receive(fd) for _ in lengths] == [b"x" * length for length in lengths]
    assert stream.receive(fd) is None


def test_what_has_no_bytes_is_refused(ends: Ends) -> None:
    with pytest.raises(TypeError):
        _family.Stream().send(ends[0].fileno(), 5)
    with pytest.raises(BufferError):
        _family.Stream().send(ends[0].fileno(), memoryview(b"abcd")[::2])
