"""Connections: buffers, bad use, the other end, listeners and clients."""

import array
import io
import multiprocessing
import multiprocessing.connection
import os
import pickle
import struct
import threading
from collections.abc import Callable

import pytest

from procession import connection
from procession.connection import Client, Connection, Listener, Pipe, wait
from procession.errors import BufferTooShort, TransferError
from tests.streams import running

# ---- buffers -------------------------------------------------------------------------------

pytest_plugins = ("tests.ends",)


def test_parts_of_buffers_of_every_kind(ends: tuple[Connection, Connection]) -> None:
    import numpy as np

    reader, writer = ends
    numbers = array.array("i", range(5))
    for buffer, raw in [
        (b"abcdefgh", b"abcdefgh"),
        (bytearray(b"abcd"), b"abcd"),
        (numbers, numbers.tobytes()),
        (memoryview(numbers)[1:3], numbers.tobytes()[4:12]),
        (np.arange(6).reshape(2, 3), np.arange(6).tobytes()),
    ]:
        for offset, size in [(0, None), (1, None), (1, 2), (len(raw), None), (len(raw), 0), (0, 0)]:
            writer.send_bytes(buffer, offset, size)
            assert reader.recv_bytes() == raw[offset : None if size is None else offset + size]


@pytest.mark.parametrize(
    ("offset", "size", "text"),
    [
        (-1, None, "offset is negative"),
        (4, None, "buffer length < offset"),
        (1, -1, "size is negative"),
        (1, 3, "buffer length < offset \\+ size"),
    ],
)
def test_a_part_that_is_not_there(offset: int, size: int | None, text: str) -> None:
    reader, writer = Pipe()
    with reader, writer:
        with pytest.raises(ValueError, match=text):
            writer.send_bytes(b"abc", offset, size)
        assert not reader.poll()


def test_receiving_into_arrays(ends: tuple[Connection, Connection]) -> None:
    import numpy as np

    reader, writer = ends
    for buffer in (
        array.array("i", [0] * 4),
        np.zeros((2, 2), "i4"),
        bytearray(16),
        memoryview(bytearray(16)),
    ):
        writer.send_bytes(array.array("i", [5, 6, 7]))
        assert reader.recv_bytes_into(buffer, 4) == 12
        assert array.array("i", memoryview(buffer).tobytes()).tolist() == [0, 5, 6, 7]
    writer.send_bytes(b"")
    assert reader.recv_bytes_into(bytearray()) == 0


def test_a_buffer_too_short_gives_the_message(ends: tuple[Connection, Connection]) -> None:
    reader, writer = ends
    writer.send_bytes(b"0123456789")
    with pytest.raises(BufferTooShort) as caught:
        reader.recv_bytes_into(bytearray(10), 1)
    assert caught.value.args == (b"0123456789",)
    writer.send_bytes(b"next")
    with pytest.raises(ValueError, match="negative offset"):
        reader.recv_bytes_into(bytearray(4), -1)
    with pytest.raises(ValueError, match="offset too large"):
        reader.recv_bytes_into(bytearray(4), 5)
    with pytest.raises(TypeError, match="read-only"):
        reader.recv_bytes_into(b"1234")
    with pytest.raises(TypeError):
        reader.recv_bytes_into(4)
    assert reader.recv_bytes() == b"next"


# ---- bad use, and the other end ------------------------------------------------------------


def test_a_closed_end_says_so(ends: tuple[Connection, Connection]) -> None:
    reader, writer = ends
    assert not reader.closed
    for end in ends:
        end.close()
        end.close()
        assert end.closed
    uses: list[Callable[[], object]] = [
        *(reader.recv, reader.recv_bytes, reader.poll, reader.fileno, writer.fileno),
        *(
            lambda: reader.recv_bytes_into(bytearray(1)),
            lambda: writer.send(1),
            lambda: writer.send_bytes(b""),
        ),
        *(lambda: wait([reader]), reader.__reduce__),
    ]
    for use in uses:
        with pytest.raises(OSError, match="handle is closed"):
            use()


def test_an_end_for_one_direction_refuses_the_other() -> None:
    reader, writer = Pipe(duplex=False)
    with reader, writer:
        assert (reader.readable, reader.writable, writer.readable, writer.writable) == (1, 0, 0, 1)
        for use in (lambda: reader.send(1), lambda: reader.send_bytes(b"")):
            with pytest.raises(OSError, match="connection is read-only"):
                use()
        for use in (writer.recv, writer.recv_bytes, writer.poll, lambda: writer.recv_bytes_into(bytearray())):
            with pytest.raises(OSError, match="connection is write-only"):
                use()


def test_nonsense_as_a_handle() -> None:
    with pytest.raises(ValueError, match="invalid handle"):
        Connection(-1)
    with pytest.raises(ValueError, match="at least one of"):
        Connection(0, readable=False, writable=False)
    with pytest.raises((TypeError, AttributeError)):
        Connection("0")  # type: ignore[arg-type]


def test_the_end_of_a_stream(ends: tuple[Connection, Connection]) -> None:
    reader, writer = ends
    writer.send(1)
    writer.close()
    assert reader.poll()
    assert reader.recv() == 1
    assert reader.poll()
    for receive in (reader.recv, reader.recv_bytes, lambda: reader.recv_bytes_into(bytearray(1))):
        with pytest.raises(EOFError):
            receive()


@pytest.mark.parametrize("size", [1, 5_000_000])
def test_a_pipe_that_nobody_reads_is_broken(ends: tuple[Connection, Connection], size: int) -> None:
    reader, writer = ends
    reader.close()
    for _ in range(2):
        with pytest.raises(BrokenPipeError):
            writer.send_bytes(bytes(size))


def test_an_object_that_cannot_travel_leaves_the_pipe_as_it_was(ends: tuple[Connection, Connection]) -> None:
    reader, writer = ends
    with pytest.raises(TransferError, match="cannot pickle"):
        writer.send([1, threading.Lock()])
    writer.send(2)
    assert reader.recv() == 2


def test_a_message_longer_than_wanted(ends: tuple[Connection, Connection]) -> None:
    reader, writer = ends
    writer.send_bytes(b"0123456789")
    writer.send_bytes(b"0123456789")
    with pytest.raises(ValueError, match="negative maxlength"):
        reader.recv_bytes(-1)
    assert reader.recv_bytes(10) == b"0123456789"
    with pytest.raises(OSError, match="bad message length"):
        reader.recv_bytes(9)
    with pytest.raises(OSError, match=r"handle is closed|write-only"):
        reader.recv_bytes()


@pytest.mark.parametrize("head", [struct.pack("!i", -2), struct.pack("!iQ", -1, (1 << 64) - 1)])
@pytest.mark.parametrize("receive", [Connection.recv, lambda end: end.recv_bytes_into(bytearray(9))])
def test_a_length_that_is_none(head: bytes, receive: Callable[[Connection], object]) -> None:
    reader, writer = Pipe()
    with reader, writer:
        os.write(writer.fileno(), head)
        with pytest.raises(OSError, match="bad message length"):
            receive(reader)


def test_a_stream_that_ends_within_a_message() -> None:
    for sent in (b"\0", b"\0\0\0\5", b"\0\0\0\5abc", struct.pack("!iI", -1, 7)):
        reader, writer = Pipe()
        with reader:
            os.write(writer.fileno(), sent)
            writer.close()
            for _ in range(2):
                with pytest.raises(OSError, match="end of file during message"):
                    reader.recv_bytes()


def test_an_object_that_cannot_be_rebuilt_is_taken_all_the_same(ends: tuple[Connection, Connection]) -> None:
    reader, writer = ends
    writer.send_bytes(b"no pickle")
    writer.send("next")
    with pytest.raises(pickle.UnpicklingError):
        reader.recv()
    assert reader.recv() == "next"


# ---- listeners and clients -----------------------------------------------------------------


@pytest.mark.parametrize("family", ["AF_INET", "AF_UNIX"])
@pytest.mark.parametrize("authkey", [None, b"secret"])
def test_listeners_and_clients_give_our_connections(family: str, authkey: bytes | None) -> None:
    with Listener(family=family, authkey=authkey) as listener:
        assert isinstance(listener, multiprocessing.connection.Listener)
        theirs: list[Connection] = []
        with running(lambda: theirs.append(Client(listener.address, family, authkey))):
            ours = listener.accept()
        with ours, theirs[0]:
            assert type(ours) is type(theirs[0]) is Connection
            theirs[0].send(lambda: 4)
            assert ours.recv()() == 4
    with pytest.raises(OSError, match="listener is closed"):
        listener.accept()


def test_the_low_level_pair() -> None:
    listener = connection.SocketListener(("localhost", 0), "AF_INET")
    theirs: list[Connection] = []
    with running(lambda: theirs.append(connection.SocketClient(listener._address))):
        ours = listener.accept()
    listener.close()
    with ours, theirs[0]:
        assert type(ours) is type(theirs[0]) is Connection
        ours.send(1)
        assert theirs[0].recv() == 1


def test_a_wrong_key_is_refused() -> None:
    with Listener(authkey=b"right") as listener:
        refused: list[Exception] = []

        def connect() -> None:
            try:
                Client(listener.address, authkey=b"wrong")
            except (OSError, EOFError, multiprocessing.ProcessError) as error:
                refused.append(error)

        with running(connect), pytest.raises(multiprocessing.AuthenticationError):
            listener.accept()
        assert len(refused) == 1


def test_every_name_of_the_stdlibs_module_is_here() -> None:
    assert connection.__all__ == multiprocessing.connection.__all__
    for name in dir(multiprocessing.connection):
        assert hasattr(connection, name), name
    assert issubclass(Connection, multiprocessing.connection.Connection)


def test_what_the_stdlibs_methods_are_made_of(ends: tuple[Connection, Connection]) -> None:
    reader, writer = ends
    writer._send_bytes(memoryview(b"abc"))
    got = reader._recv_bytes()
    assert isinstance(got, io.BytesIO)
    assert got.getvalue() == b"abc"
    assert reader._poll(0) is False
