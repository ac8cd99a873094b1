"""Queues that are shut down: in one process, between processes, and against the stdlib's queue."""

import queue
import sys
import threading
from typing import Any

import pytest

from procession import ShutDown, errors
from procession.connection import wait
from procession.queues import Empty, Full, JoinableQueue, Queue, SimpleQueue
from procession.synchronize import Event, Semaphore
from tests.kit import eventually
from tests.kit.running import LONG, end, in_thread, killed, start

KINDS = [Queue, JoinableQueue, SimpleQueue]


def outcome(use: Any, *args: Any) -> Any:
    try:
        return use(*args)
    except (ShutDown, Full, Empty) as error:
        return type(error).__name__


def test_the_error_is_the_stdlibs_where_it_has_one() -> None:
    assert errors.ShutDown is ShutDown
    if sys.version_info >= (3, 13):
        assert ShutDown is queue.ShutDown


# ---- in one process --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_there_can_still_be_taken(kind: Any) -> None:
    made = kind()
    made.put(1)
    made.put("x" * 100_000)
    made.shutdown()
    made.shutdown()
    with pytest.raises(ShutDown):
        made.put(3)
    assert (made.get(), len(made.get())) == (1, 100_000)
    for _ in range(2):
        with pytest.raises(ShutDown):
            made.get()


@pytest.mark.parametrize("kind", KINDS)
def test_at_once_nothing_can_be_taken(kind: Any) -> None:
    made, lock = kind(), Semaphore(0)
    for item in (1, lock, "x" * 100_000):
        made.put(item)
    made.shutdown(immediate=True)
    assert made.empty()
    for use in (made.get, lambda: made.put(1), lambda: made._writer.send(1), made._reader.recv):
        with pytest.raises(ShutDown):
            use()


@pytest.mark.parametrize("immediate", [False, True])
def test_every_call_with_and_without_waiting_as_of_the_stdlibs_queue(immediate: bool) -> None:
    made: Any = Queue(2)
    made.put(1)
    made.put(2)
    made.shutdown(immediate)
    puts = [(made.put, 3), (made.put_nowait, 3), (made.put, 3, True, 0.01), (made.put_many, [3])]
    assert [outcome(*call) for call in puts] == ["ShutDown"] * 4
    taken = [] if immediate else [1, 2]
    gets = [(made.get_nowait,), (made.get, True, 5), (made.get, True, 0.01), (made.get_nowait,), (made.get,)]
    assert [outcome(*call) for call in gets] == [*taken, *["ShutDown"] * (5 - len(taken))]
    assert outcome(made.get_many, 2) == "ShutDown"


def test_items_dropped_count_as_dealt_with() -> None:
    made: Any = JoinableQueue()
    for item in range(3):
        made.put(item)
    made.get()
    joined = threading.Event()
    thread = in_thread(lambda: (made.join(), joined.set()))
    made.shutdown(immediate=True)
    assert not joined.wait(0.05)  # one was taken, and is being dealt with
    made.task_done()
    thread.join(LONG)
    assert joined.is_set()
    with pytest.raises(ValueError, match="too many times"):
        made.task_done()


def test_a_closed_end_refuses_to_shut_down_what_is_left() -> None:
    made: Any = Queue()
    made.close()
    with pytest.raises(ValueError, match="is closed"):
        made.shutdown(immediate=True)


@pytest.mark.parametrize("immediate", [False, True])
def test_threads_that_wait_are_let_go(immediate: bool) -> None:
    empty: Any = Queue()
    full: Any = Queue(1)
    full.put(0)
    found: list[Any] = []
    calls = [(empty.get,), (empty.get, True, LONG), (full.put, 1), (full.put, 2, True, LONG)]
    threads = [in_thread(lambda call=call: found.append(outcome(*call))) for call in calls]
    eventually(lambda: len(empty._port.waiting) == 2)
    for made in (empty, full):
        made.shutdown(immediate)
    for thread in threads:
        thread.join(LONG)
    assert found == ["ShutDown"] * 4
    assert outcome(full.get) == ("ShutDown" if immediate else 0)


# ---- between processes -----------------------------------------------------------------------


def use(ready: Any, told: Any, method: str, made: Any, *args: Any) -> None:
    ready.release()
    told.put(outcome(getattr(made, method), *args))


@pytest.mark.parametrize("immediate", [False, True])
def test_processes_that_wait_are_let_go(ctx: Any, immediate: bool) -> None:
    empty, full, told, ready = Queue(), JoinableQueue(1), SimpleQueue(), Semaphore(0)
    full.put(0)
    calls: list[Any] = [("get", empty), ("get", empty), ("put", full, 1), ("put", full, b"x" * 100_000)]
    processes = [start(ctx, use, ready, told, *call) for call in calls]
    for _ in processes:
        assert ready.acquire(timeout=LONG)
    empty.shutdown(immediate)
    full.shutdown(immediate)
    assert [told.get() for _ in processes] == ["ShutDown"] * 4
    end(*processes)
    assert outcome(full.get) == ("ShutDown" if immediate else 0)


def shut(made: Any, done: Any) -> None:
    made.shutdown()
    done.set()


def test_any_process_may_shut_it_down_for_all(ctx: Any) -> None:
    made, done = Queue(), Event()
    made.put("kept")
    process = start(ctx, shut, made, done)
    assert done.wait(LONG)
    end(process)
    assert (outcome(made.put, 1), outcome(made.get), outcome(made.get)) == ("ShutDown", "kept", "ShutDown")


def stream(made: Any, ready: Any) -> None:
    ready.release()
    try:
        while True:
            made.put(b"x" * 1000)
    except ShutDown:
        pass


def test_nothing_comes_after_an_end_at_once(ctx: Any) -> None:
    made, ready = Queue(50), Semaphore(0)
    writers = [start(ctx, stream, made, ready) for _ in range(3)]
    for _ in writers:
        assert ready.acquire(timeout=LONG)
    made.shutdown(immediate=True)
    assert made.empty()
    end(*writers)
    assert made.empty()


def test_a_writer_killed_in_the_middle_does_not_stop_the_end(ctx: Any) -> None:
    made, ready = Queue(5), Semaphore(0)
    for _ in range(5):
        writer = start(ctx, stream, made, ready)
        assert ready.acquire(timeout=LONG)
        made.get(timeout=LONG)
        killed(writer)
    made.shutdown()
    while outcome(made.get) != "ShutDown":
        pass
    assert outcome(made.put, 1) == "ShutDown"


def test_the_descriptor_is_readable_for_good_as_at_the_end_of_a_stream() -> None:
    made: Any = Queue()
    reader = made._reader
    assert wait([reader], 0) == []
    made.put(1)
    made.shutdown()
    for expected in (1, "ShutDown", "ShutDown"):
        assert wait([reader], LONG) == [reader]
        assert reader.poll()
        assert outcome(reader.recv) == expected


def test_who_waits_for_the_descriptor_is_let_go() -> None:
    made: Any = SimpleQueue()
    found: list[Any] = []
    thread = in_thread(lambda: found.append(wait([made._reader], LONG)))
    made.shutdown()
    thread.join(LONG)
    assert found == [[made._reader]]
