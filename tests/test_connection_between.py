"""Connections of and to other processes."""

import multiprocessing
import multiprocessing.connection
import os
import sys
from typing import Any

import pytest

from procession import _family, connection
from procession.connection import Connection, Pipe

pytest_plugins = ("tests.ends",)


class Mine(Connection):
    """A subclass that wants other arguments."""

    def __init__(self, fd: int, *, label: str) -> None:
        super().__init__(fd, writable=False)
        self.label = label


def echo(conn: Connection, *others: Connection) -> None:
    """The textbook worker: it ends when the other end is closed."""
    for other in others:
        other.close()
    while True:
        try:
            conn.send((os.getpid(), conn.recv()))
        except EOFError:
            break
    conn.close()
    sys.exit(7)


def test_the_textbook_worker_sees_the_end(ctx: Any, method: str) -> None:
    here, there = ctx.Pipe()
    # A forked child inherits every end; one that wants to see the end of its own closes the rest.
    process = ctx.Process(target=echo, args=(there, here) if method == "fork" else (there,))
    process.start()
    there.close()
    here.send([1, 2])
    assert here.recv() == (process.pid, [1, 2])
    here.close()
    process.join(30)
    assert process.exitcode == 7


def pass_on(conn: Connection) -> None:
    """Takes connections from a connection, and answers on them."""
    with conn:
        for _ in range(3):
            with conn.recv() as given:
                given.send((type(given).__name__, given.readable, given.writable))


def test_a_connection_over_a_connection(ctx: Any) -> None:
    here, there = ctx.Pipe()
    process = ctx.Process(target=pass_on, args=(there,))
    process.start()
    there.close()
    for _ in range(3):
        reader, writer = Pipe(duplex=False)
        with reader:
            here.send(writer)
            assert reader.recv() == ("Connection", False, True)
            writer.close()
            # No duplicate of the writer is left anywhere.
            with pytest.raises(EOFError):
                reader.recv()
    here.close()
    process.join(30)
    assert process.exitcode == 0
    multiprocessing.resource_sharer.stop()


def take_from_queue(queue: Any) -> None:
    with queue.get() as given:
        given.send("through the queue")


def test_a_connection_through_a_queue(ctx: Any) -> None:
    queue = ctx.Queue()
    process = ctx.Process(target=take_from_queue, args=(queue,))
    process.start()
    reader, writer = Pipe(duplex=False)
    with reader:
        queue.put(writer)
        assert reader.recv() == "through the queue"
        writer.close()
        with pytest.raises(EOFError):
            reader.recv()
    process.join(30)
    queue.close()
    multiprocessing.resource_sharer.stop()


def test_a_subclass_arrives_as_what_it_is() -> None:
    reader, writer = Pipe(duplex=False)
    with writer, reader, Mine(os.dup(reader.fileno()), label="x") as mine:
        writer.send(mine)
        with reader.recv() as again:
            assert (type(again), again.readable, again.writable) == (Mine, True, False)
    multiprocessing.resource_sharer.stop()


def test_the_stdlibs_own_pickler_takes_it_too() -> None:
    reader, writer = Pipe(duplex=False)
    pickler = multiprocessing.reduction.ForkingPickler
    with reader, writer, pickler.loads(pickler.dumps(writer)) as again:
        again.send(1)
        assert reader.recv() == 1
        rebuild, given = connection.reduce_connection(writer)
        rebuild(*given).close()
        made = connection.rebuild_connection(multiprocessing.reduction.DupFd(writer.fileno()), False, True)
        made.close()
    multiprocessing.resource_sharer.stop()


def test_a_shared_object_sent_is_held_for_the_receiver(ends: tuple[Connection, Connection]) -> None:
    reader, writer = ends
    event = _family.EventWord()
    event.set()
    writer.send([event])
    del event
    assert reader.recv()[0].is_set()
