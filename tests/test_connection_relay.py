"""Messages of a Pipe go from hand to hand or by the descriptor: nobody can tell which."""

import os
import select
import struct
import sys
from typing import Any

import pytest

from procession.connection import Connection, Pipe, wait
from tests.kit.running import end, in_thread, killed, start

SIZES = [1, 400, 433, 5000, 70_000]
COUNT = 1500


def framed(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


def message(number: int) -> bytes:
    # Small ones follow each other, so that some of them go by hand.
    size = 4 + (SIZES[number // 20 % 5] if number % 20 == 0 else 1)
    return number.to_bytes(4, "big").ljust(size, b"x")


def send_all(writer: Connection, turns: Any) -> None:
    for number in range(COUNT):
        if number % 7 == 0:
            turns.recv()
        writer.send_bytes(message(number))


def received(reader: Connection, number: int) -> bytes:
    """One message, by one of the ways in which one may be received."""
    if number % 5 == 0:
        assert wait([reader]) == [reader]
    if number % 3 == 0:
        return reader.recv_bytes(100_000)
    if number % 3 == 1:
        room = bytearray(100_000)
        return bytes(room[: reader.recv_bytes_into(room)])
    return reader.recv_bytes()


def test_messages_of_all_sizes_come_in_order(ctx: Any) -> None:
    reader, writer = ctx.Pipe(duplex=False)
    turn, turns = ctx.Pipe()
    process = start(ctx, send_all, writer, turns)
    for number in range(COUNT):
        if number % 7 == 0:
            turn.send(None)
        assert received(reader, number) == message(number)
    process.join()
    assert not reader.poll()


def test_who_writes_to_the_descriptor_itself_is_not_overtaken(ctx: Any) -> None:
    here, there = ctx.Pipe()
    process = start(ctx, numbers_back, there)
    there.close()
    for number in range(300):
        here.send(number)
        assert here.recv() == number
    fd = here.fileno()
    for number in range(0, 300, 2):
        os.write(fd, framed(number.to_bytes(4, "big")))
        here.send_bytes((number + 1).to_bytes(4, "big"))
    here.send(None)
    assert here.recv() == list(range(300))
    process.join()


def numbers_back(conn: Connection) -> None:
    for _ in range(300):
        conn.send(conn.recv())
    got = [int.from_bytes(conn.recv_bytes(), "big") for _ in range(300)]
    assert conn.recv() is None
    conn.send(got)


def receive_for_ever(reader: Connection, told: Connection) -> None:
    while True:
        told.send(reader.recv())


def killed_while_it_looks_out(ctx: Any, reader: Connection, writer: Connection, *close: Connection) -> None:
    """A receiver, after messages that may have gone by hand."""
    tell, told = ctx.Pipe()
    process = start(ctx, receive_for_ever, reader, told)
    for closed in close:
        closed.close()
    for number in range(50):
        writer.send(number)
        assert tell.recv() == number
    killed(process)


@pytest.mark.parametrize("method", ["fork"], indirect=True)
def test_what_is_sent_after_a_receivers_death_is_not_for_it(ctx: Any) -> None:
    for _ in range(10):
        reader, writer = ctx.Pipe()
        killed_while_it_looks_out(ctx, reader, writer)
        for number in range(3):
            writer.send(number)
        assert [reader.recv() for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("method", ["fork"], indirect=True)
def test_the_death_of_the_only_receiver_is_told(ctx: Any) -> None:
    for _ in range(10):
        reader, writer = ctx.Pipe()
        killed_while_it_looks_out(ctx, reader, writer, reader)
        with pytest.raises(BrokenPipeError):
            writer.send(1)
        with pytest.raises(EOFError):
            writer.recv()


def answer_as_it_lies(conn: Connection) -> None:
    """Answers when told by its descriptor alone."""
    poller = select.poll()
    poller.register(conn.fileno(), select.POLLIN)
    for _ in range(200):
        assert poller.poll(30_000)
        conn.send(conn.recv())
    sys.exit(3)


def test_who_waits_by_the_descriptor_sees_every_message(ctx: Any) -> None:
    here, there = ctx.Pipe()
    process = start(ctx, answer_as_it_lies, there)
    for number in range(200):
        here.send(number)
        assert here.recv() == number
    process.join()
    assert process.exitcode == 3


def test_an_end_of_a_closed_one_is_no_longer_to_be_waited_for() -> None:
    reader, writer = Pipe()
    writer.close()
    reader.close()
    with pytest.raises(OSError, match="closed"):
        wait([reader])


def send_by_threads(writer: Connection, count: int) -> None:
    def send(thread: int) -> None:
        for number in range(count):
            # Some too long for a hand.
            writer.send((thread, number, "x" * (number % 10 // 9 * 2000)))

    for sender in [in_thread(send, thread) for thread in range(2)]:
        sender.join()


def test_threads_share_both_ends(ctx: Any) -> None:
    reader, writer = ctx.Pipe(duplex=False)
    process = start(ctx, send_by_threads, writer, 500)
    got: list[list[tuple[int, int]]] = [[], []]

    def receive(thread: int) -> None:
        while (message := reader.recv()) is not None:
            got[thread].append(message[:2])

    receivers = [in_thread(receive, thread) for thread in range(2)]
    end(process)
    for _ in receivers:
        writer.send(None)
    for receiver in receivers:
        receiver.join()
    assert sorted(got[0] + got[1]) == [(thread, number) for thread in range(2) for number in range(500)]
    # Each receiver sees what each sender sent in its order.
    for mine in got:
        for thread in range(2):
            numbers = [number for sender, number in mine if sender == thread]
            assert numbers == sorted(numbers)
