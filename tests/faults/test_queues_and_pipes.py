"""Queues and pipes: what is promised about items when processes die, hurry or change their minds."""

import os
import queue
import signal
import threading
import time
from typing import Any

import pytest

from procession.queues import JoinableQueue, Queue, SimpleQueue
from procession.synchronize import Event, Semaphore
from tests.kit.running import LONG, end, in_thread, killed, start

KINDS = [Queue, JoinableQueue, SimpleQueue]
MB = 1 << 20

# ---- what a put promises ---------------------------------------------------------------------


def take_turns(made: Any, mine: Any, next_: Any, name: int, rounds: int) -> None:
    for number in range(rounds):
        assert mine.acquire(timeout=LONG)
        made.put((number, name, "x" * (20_000 if number % 7 == 0 else 1)))
        next_.release()


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_puts_is_the_order_of_gets_across_processes(ctx: Any, kind: Any) -> None:
    made, turns, rounds = kind(), [Semaphore(0) for _ in range(3)], 60
    processes = [
        start(ctx, take_turns, made, turns[name], turns[(name + 1) % 3], name, rounds) for name in range(3)
    ]
    turns[0].release()
    found = [made.get()[:2] for _ in range(3 * rounds)]
    assert found == [(number, name) for number in range(rounds) for name in range(3)]
    end(*processes)


def put_and_tell(made: Any, told: Any, count: int) -> None:
    for number in range(count):
        made.put(number)
        told.release()


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_is_visible_when_put_returns(ctx: Any, kind: Any) -> None:
    made, told = kind(), Semaphore(0)
    process = start(ctx, put_and_tell, made, told, 200)
    for number in range(200):
        assert told.acquire(timeout=LONG)
        assert not made.empty()
        assert (made.get() if kind is SimpleQueue else made.get_nowait()) == number
    end(process)


@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
def test_later_changes_of_an_object_are_not_seen(size: int) -> None:
    for made in (Queue(), JoinableQueue(), SimpleQueue()):
        item: Any = {"list": [1], "data": bytearray(b"a" * size)}
        made.put(item)
        item["list"].append(2)
        item["data"][:] = b"b" * size
        assert made.get() == {"list": [1], "data": bytearray(b"a" * size)}


class Reluctant:
    def __reduce__(self) -> Any:
        raise ValueError("not today")


def test_what_cannot_be_pickled_is_told_to_who_puts_it_and_to_nobody_else(ctx: Any) -> None:
    made, ready = Queue(1), Event()
    process = start(ctx, take_one, made, ready)
    assert ready.wait(LONG)
    for bad in (Reluctant(), threading.Lock(), (x for x in "generator")):
        with pytest.raises(Exception, match=r"not today|cannot pickle"):
            made.put(bad)
    made.put("good")
    end(process)


def take_one(made: Any, ready: Any) -> None:
    ready.set()
    assert made.get(timeout=LONG) == "good"


def put_and_leave(made: Any, how: str) -> None:
    for number in range(50):
        made.put((number, b"x" * 50_000))
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(3)


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_what_was_put_arrives_whatever_its_process_does_next(ctx: Any, how: str) -> None:
    made = Queue()
    process = start(ctx, put_and_leave, made, how)
    process.join(LONG)  # before anything is read
    assert process.exitcode == (3 if how == "exit" else -signal.SIGKILL)
    assert [made.get(timeout=LONG)[0] for _ in range(50)] == list(range(50))
    assert made.empty()


# ---- kills -----------------------------------------------------------------------------------


def wait_in_get(made: Any, ready: Any) -> None:
    ready.release()
    made.get()


def wait_in_put(made: Any, ready: Any) -> None:
    ready.release()
    made.put("from the grave")


def test_times_keep_their_word_beside_killed_readers_and_writers(ctx: Any) -> None:
    empty, full, ready = Queue(), Queue(1), Semaphore(0)
    full.put(0)
    victims = [start(ctx, wait_in_get, empty, ready) for _ in range(2)]
    victims += [start(ctx, wait_in_put, full, ready) for _ in range(2)]
    for _ in victims:
        assert ready.acquire(timeout=LONG)
    time.sleep(0.05)  # until they sleep, most often
    for victim in victims:
        killed(victim)
    for use, error in (
        (lambda: empty.get(timeout=0.2), queue.Empty),
        (lambda: full.put(1, timeout=0.2), queue.Full),
    ):
        began = time.monotonic()
        with pytest.raises(error):
            use()
        assert time.monotonic() - began >= 0.2
    empty.put(1)
    assert (empty.get(timeout=LONG), full.get(timeout=LONG)) == (1, 0)
    full.put(2, timeout=LONG)
    assert full.get(timeout=LONG) == 2


def send_for_ever(conn: Any) -> None:
    while True:
        conn.send(b"x" * (4 * MB))


def test_a_pipe_whose_writer_is_killed_in_the_middle_of_a_message_tells_of_it(ctx: Any) -> None:
    here, there = ctx.Pipe(duplex=False)
    process = start(ctx, send_for_ever, there)
    there.close()
    assert len(here.recv()) == 4 * MB
    assert here.poll(LONG)  # the next has begun, and more than the pipe holds is to come
    killed(process)
    with pytest.raises((EOFError, OSError)):
        here.recv()
    here.close()


def test_a_pipe_whose_reader_is_killed_is_broken(ctx: Any) -> None:
    here, there = ctx.Pipe(duplex=False)
    reader = start(ctx, hold, here)
    here.close()
    killed(reader)
    with pytest.raises(BrokenPipeError):
        there.send(b"x" * MB)
    there.close()


def hold(conn: Any) -> None:
    conn.poll(100)


# ---- threads ---------------------------------------------------------------------------------


def echo(conn: Any) -> None:
    for item in iter(conn.recv, None):
        conn.send(item)


def test_threads_share_both_directions_of_a_connection(ctx: Any) -> None:
    here, there = ctx.Pipe()
    process = start(ctx, echo, there)
    there.close()
    each, found = 40, []

    def talk(name: int) -> None:
        for number in range(each):
            here.send((name, number, b"x" * (name * 9000)))
            found.append(here.recv()[:2])

    threads = [in_thread(talk, name) for name in range(4)]
    for thread in threads:
        thread.join(LONG)
    assert sorted(found) == [(name, number) for name in range(4) for number in range(each)]
    here.send(None)
    end(process)
    here.close()
