"""Peers that are wrong, slow, silent or hostile: a Listener's, and whatever comes over a Connection."""

import hmac
import io
import logging
import multiprocessing
import os
import pickle
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing import connection as std
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from procession import _family, _reception
from procession.connection import Client, Connection, Listener, Pipe
from tests.kit.running import LONG, in_thread

KEY = b"a key that nobody may read"
EXAMPLES = int(os.environ.get("ROUNDS", "60"))

fuzz = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["AF_UNIX", "AF_INET"])
def listener(request: pytest.FixtureRequest) -> Iterator[Any]:
    address = ("127.0.0.1", 0) if request.param == "AF_INET" else None
    with Listener(address, request.param, backlog=20, authkey=KEY) as made:
        yield made


def knock(listener: Any) -> socket.socket:
    """A client that has said nothing yet."""
    family = socket.AF_INET if isinstance(listener.address, tuple) else socket.AF_UNIX
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(LONG)
    client.connect(listener.address)
    return client


def accepted(listener: Any) -> tuple[Any, list[str]]:
    """The next connection, and what was raised before it."""
    refused = []
    while True:
        try:
            return listener.accept(), refused
        except (AuthenticationError, EOFError, OSError) as error:
            refused.append(repr(error))


def good_client(listener: Any, make: Callable[..., Any] = Client) -> threading.Thread:
    def talk() -> None:
        with make(listener.address, authkey=KEY) as conn:
            conn.send("good")

    return in_thread(talk)


def hear_the_good(listener: Any, make: Callable[..., Any] = Client) -> list[str]:
    """A good client is heard, whoever else is there; what was raised meanwhile."""
    client = good_client(listener, make)
    conn, refused = accepted(listener)
    with conn:
        assert conn.recv() == "good"
    client.join()
    return refused


# ---- listeners -------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Client, std.Client])
def test_who_says_nothing_keeps_nobody_waiting(listener: Any, make: Any) -> None:
    silent = [knock(listener) for _ in range(3)]
    assert hear_the_good(listener, make) == []
    half = knock(listener)
    half.sendall(struct.pack("!i", 50) + b"{sha256}")
    assert hear_the_good(listener, make) == []
    for client in [*silent, half]:
        client.close()


def test_who_is_too_slow_is_refused(listener: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reception, "PATIENCE", 0.1)
    client = knock(listener)

    def wait_and_talk() -> None:
        with client, client.makefile("rb") as stream:
            assert stream.read().count(b"#CHALLENGE#") == 1, "and then its end"
        monkeypatch.setattr(_reception, "PATIENCE", LONG)
        with Client(listener.address, authkey=KEY) as conn:
            conn.send("good")

    talker = in_thread(wait_and_talk)
    with listener.accept() as conn:
        assert conn.recv() == "good"
    talker.join()


def test_where_too_many_are_at_it_the_oldest_must_go(listener: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reception, "GUESTS", 2)
    with knock(listener) as first, knock(listener):
        assert hear_the_good(listener) == []
        with first.makefile("rb") as stream:
            assert b"#CHALLENGE#" in stream.read()


def test_who_must_go_may_have_said_something_in_the_same_moment(
    listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reception, "GUESTS", 1)
    with knock(listener) as first:
        first.sendall(b"x")
        assert hear_the_good(listener) in ([], ["ConnectionResetError(104, 'Connection reset by peer')"])


def test_another_key_is_refused_on_both_sides_and_shown_nowhere(
    listener: Any, caplog: pytest.LogCaptureFixture
) -> None:
    logger = multiprocessing.get_logger()
    errors: list[Any] = []

    def fail() -> None:
        try:
            Client(listener.address, authkey=b"another key")
        except AuthenticationError as error:
            errors.append(error)

    with caplog.at_level(logging.DEBUG, logger.name):
        client = in_thread(fail)
        with pytest.raises(AuthenticationError) as caught:
            listener.accept()
        client.join()
    assert len(errors) == 1
    for text in (caplog.text, repr(caught.value), repr(errors[0]), repr(listener)):
        assert "key that nobody" not in text
    assert hear_the_good(listener) == []


def test_keys_are_compared_in_constant_time(listener: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compare, calls = hmac.compare_digest, []
    monkeypatch.setattr(hmac, "compare_digest", lambda *pair: calls.append(pair) or compare(*pair))
    hear_the_good(listener)
    assert calls


class Bomb:
    """Tells when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, (BOMB,)


BOMB = f"/tmp/procession-bomb-{os.getpid()}"


def frame(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


@pytest.mark.parametrize("before", [b"", frame(b"#CHALLENGE#" + bytes(20)), frame(b"#WELCOME#")])
def test_nothing_is_unpickled_before_the_key_is_proved(listener: Any, before: bytes) -> None:
    with knock(listener) as client:
        client.sendall(before + frame(pickle.dumps(Bomb())) * 5)
        with pytest.raises(AuthenticationError):
            listener.accept()
    assert hear_the_good(listener) in ([], ["ConnectionResetError(104, 'Connection reset by peer')"])
    assert not os.path.exists(BOMB)


PARTS = st.sampled_from(
    [
        b"#CHALLENGE#",
        b"#WELCOME#",
        b"#FAILURE#",
        b"{sha256}",
        b"{md5}",
        b"{",
        bytes(16),
        bytes(20),
        b"\xff" * 4,
    ]
)
FRAMES = st.lists(st.lists(PARTS | st.binary(max_size=40), max_size=4).map(b"".join).map(frame), max_size=4)
NONSENSE = FRAMES.map(b"".join) | st.binary(max_size=300)


@fuzz
@given(said=NONSENSE, ends=st.booleans())
def test_nonsense_is_refused_and_costs_the_others_nothing(listener: Any, said: bytes, ends: bool) -> None:
    client = knock(listener)
    try:
        client.sendall(said)
        if ends:
            client.shutdown(socket.SHUT_WR)
        hear_the_good(listener)
    finally:
        client.close()


@fuzz
@given(said=NONSENSE)
def test_a_listener_that_talks_nonsense_is_refused_by_clients(said: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as fake:
        address = std.arbitrary_address("AF_UNIX")  # type: ignore[attr-defined]
        fake.bind(address)
        fake.listen()

        def talk() -> None:
            peer, _ = fake.accept()
            with peer:
                peer.sendall(said)

        talker = in_thread(talk)
        with pytest.raises((AuthenticationError, EOFError, OSError, ValueError, AssertionError)):
            Client(address, authkey=KEY)
        talker.join()
        os.unlink(address)


def test_what_is_made_for_talking_is_private() -> None:
    with Listener(family="AF_UNIX") as made:
        folder = os.stat(os.path.dirname(made.address))
        assert stat.S_IMODE(folder.st_mode) == 0o700
        assert not made._listener._socket.get_inheritable()  # type: ignore[attr-defined]
    assert not os.get_inheritable(_family.heap_fd())
    assert os.readlink(f"/proc/self/fd/{_family.heap_fd()}").startswith("/memfd:")


# ---- frames ----------------------------------------------------------------------------------


def messages(stream: bytes) -> Iterator[bytes]:
    """What a stream says, up to its end or its first error."""
    source = io.BytesIO(stream)
    while len(head := source.read(4)) == 4:
        (size,) = struct.unpack("!i", head)
        if size == -1 and len(head := source.read(8)) == 8:
            (size,) = struct.unpack("!Q", head)
        if not 0 <= size <= len(stream) or len(data := source.read(size)) < size:
            return
        yield data


HEADS = st.integers(-(2**31), 2**31 - 1).map(struct.Struct("!i").pack) | st.integers(0, 2**64 - 1).map(
    lambda size: struct.pack("!iQ", -1, size)
)
STREAMS = st.lists(HEADS | st.binary(max_size=30) | st.binary(max_size=30).map(frame), max_size=6).map(
    b"".join
)


@fuzz
@given(stream=STREAMS)
@pytest.mark.parametrize("way", ["recv_bytes", "recv_bytes_into"])
def test_a_connection_gives_what_is_well_framed_and_then_an_error(way: str, stream: bytes) -> None:
    ours, theirs = Pipe()
    with ours, socket.socket(fileno=os.dup(theirs.fileno())) as peer:
        peer.sendall(stream)
        theirs.close()
        peer.shutdown(socket.SHUT_RDWR)
        for message in messages(stream):
            assert receive(ours, way) == message
        with pytest.raises((EOFError, OSError, MemoryError)):
            receive(ours, way)


def receive(conn: Connection, way: str) -> bytes:
    if way == "recv_bytes":
        return conn.recv_bytes()
    target = bytearray(1000)
    return bytes(target[: conn.recv_bytes_into(target)])


# Without PUT and LONG_BINPUT: they make pickle's memo as long as they say, which may be gigabytes.
NO_PICKLES = st.binary(max_size=60).map(lambda data: data.translate(None, b"pr"))


@fuzz
@given(data=NO_PICKLES)
def test_bytes_that_are_no_pickle_are_an_error_and_the_next_message_is_whole(data: bytes) -> None:
    ours, theirs = Pipe()
    with ours, theirs:
        theirs.send_bytes(data)
        theirs.send("next")
        with suppress(Exception):  # whatever pickle makes of it
            ours.recv()
        assert ours.recv() == "next"
