"""Signals that come while a message goes over a stream: it never gets out of step."""

import contextlib
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

from procession.connection import Connection, Pipe
from tests.streams import InterruptError, alarms, interrupt, running


def test_a_signal_whose_handler_returns_interrupts_nothing() -> None:
    reader, writer = Pipe()
    data = os.urandom(2_000_000)
    with reader, writer, alarms(lambda *_: None, 0.001):
        with running(lambda: [(time.sleep(0.002), writer.send_bytes(data)) for _ in range(5)]):
            for _ in range(5):
                assert reader.recv_bytes() == data
        with running(lambda: [(time.sleep(0.002), reader.recv_bytes()) for _ in range(5)]):
            for _ in range(5):
                writer.send_bytes(data)


def receive_all(reader: Connection, size: int, into: bool) -> bytes:
    """The next message, taken by one way or the other."""
    if not into:
        return reader.recv_bytes()
    buffer = bytearray(size)
    assert reader.recv_bytes_into(buffer) == size
    return bytes(buffer)


@pytest.mark.parametrize("into", [False, True])
@pytest.mark.parametrize("sent", [0, 2, 4, 1004, 200_004])
def test_an_interrupted_receive_goes_on_where_it_stopped(sent: int, into: bool) -> None:
    reader, writer = Pipe()
    body = os.urandom(300_000)
    stream = struct.pack("!i", len(body)) + body
    with reader, writer:
        with socket.socket(fileno=os.dup(writer.fileno())) as raw:
            with running(raw.sendall, stream[:sent]):
                for _ in range(2):
                    with alarms(interrupt, 0.1), pytest.raises(InterruptError):
                        receive_all(reader, len(body), into)
            with running(raw.sendall, stream[sent:]):
                assert receive_all(reader, len(body), into) == body
        writer.send("next")
        assert reader.recv() == "next"


class Storm:
    """Signals all the time, whose handler raises once a call, wherever the call is."""

    def __init__(self) -> None:
        self.armed = False
        self.hits = 0

    def handler(self, *_: object) -> None:
        if self.armed:
            self.armed = False
            self.hits += 1
            raise InterruptError

    def run(self, call: Callable[[], Any]) -> Any:
        try:
            self.armed = True
            result = call()
            self.armed = False
        except InterruptError:
            return None
        return result


def number_in(message: bytes) -> int:
    """The number that a message consists of; AssertionError if it is of two messages."""
    assert message == message[:4] * (len(message) // 4)
    return int.from_bytes(message[:4], "big")


def test_a_storm_of_signals_while_receiving() -> None:
    reader, writer = Pipe()
    storm, got = Storm(), []

    def send() -> None:
        with writer:
            for number in range(3000):
                writer.send_bytes(number.to_bytes(4, "big") * (17000 if number % 5 == 0 else 3))

    with reader, running(send), alarms(storm.handler, 0.0005), contextlib.suppress(EOFError):
        while True:
            message = storm.run(reader.recv_bytes)
            got += [] if message is None else [number_in(message)]
    assert storm.hits > 10
    assert got == sorted(set(got))
    assert len(got) > 2500  # one may be lost where the handler raises when it was just received


def test_a_storm_of_signals_while_sending() -> None:
    reader, writer = Pipe()
    storm, got, sent = Storm(), [], []

    def receive() -> None:
        with contextlib.suppress(EOFError):
            while True:
                got.append(number_in(reader.recv_bytes()))

    with reader, running(receive), writer, alarms(storm.handler, 0.0005):
        for number in range(3000):
            message = number.to_bytes(4, "big") * (17000 if number % 5 == 0 else 3)
            if storm.run(lambda message=message: (writer.send_bytes(message), 1)[1]):
                sent.append(number)
        signal.setitimer(signal.ITIMER_REAL, 0)
        writer.send_bytes((3000).to_bytes(4, "big"))
    assert storm.hits > 10
    assert got == sorted(set(got))
    assert set(sent) <= set(got)


def test_the_rest_of_an_interrupted_message_goes_before_the_next() -> None:
    reader, writer = Pipe()
    data = bytearray(os.urandom(5_000_000))
    expected = bytes(data)
    with reader, writer:
        with alarms(interrupt, 0.1), pytest.raises(InterruptError):
            writer.send_bytes(data)
        data[:] = bytes(len(data))  # the sender's own again
        with alarms(interrupt, 0.1), pytest.raises(InterruptError):
            writer.send("dropped: it had not begun")
        with running(lambda: writer.send("next")):
            assert reader.recv_bytes() == expected
            assert reader.recv() == "next"


def test_a_message_interrupted_before_it_began_was_never_sent() -> None:
    reader, writer = Pipe(duplex=False)
    with reader, writer:
        os.set_blocking(writer.fileno(), False)
        filled = 0
        while select.select([], [writer], [], 0)[1]:
            filled += os.write(writer.fileno(), struct.pack("!i", 4092) + bytes(4092))
        os.set_blocking(writer.fileno(), True)
        with alarms(interrupt, 0.1), pytest.raises(InterruptError):
            writer.send_bytes(b"dropped")
        for _ in range(filled // 4096):
            assert len(reader.recv_bytes()) == 4092
        writer.send_bytes(b"next")
        assert reader.recv_bytes() == b"next"


def test_a_handler_may_send_between_messages_but_not_within_one() -> None:
    reader, writer = Pipe()
    outcomes: list[object] = []

    def handler(*_: object) -> None:
        try:
            writer.send("from the handler")
        except RuntimeError as error:
            outcomes.append(str(error))

    with reader, writer:
        with alarms(handler, 0.05), running(lambda: (time.sleep(0.2), writer.send("woken"))):
            received = [reader.recv()]
            while received[-1] != "woken":
                received.append(reader.recv())
        assert received.count("from the handler") >= 1
        assert not outcomes
        while reader.poll():
            assert reader.recv() == "from the handler"

        def slow_reader() -> None:
            time.sleep(0.3)
            assert len(reader.recv_bytes()) == 5_000_000

        with running(slow_reader), alarms(handler, 0.05):
            writer.send_bytes(bytes(5_000_000))
        assert "in the middle of a message" in str(outcomes[0])
