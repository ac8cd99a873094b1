"""Queues in one process: order, limits, closing, and against a plain model."""

import math
import multiprocessing.queues as std
import os
import queue
import signal
import threading
import time
from collections import deque
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from procession import queues
from procession.errors import TransferError
from procession.queues import Empty, Full, JoinableQueue, Queue, SimpleQueue
from procession.synchronize import Event
from tests.kit import eventually
from tests.kit.running import LONG, end, in_thread, start

KINDS = [Queue, JoinableQueue, SimpleQueue]

# ---- shape -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_one_of_the_stdlibs(kind: Any) -> None:
    assert isinstance(kind(), getattr(std, kind.__name__))
    assert kind[int].__origin__ is kind


def test_every_name_of_the_stdlibs_module_is_there() -> None:
    assert [name for name in dir(std) if not hasattr(queues, name)] == []


def test_maxsize_by_place_or_name_and_none_for_no_limit() -> None:
    for made in (Queue(3), Queue(maxsize=3, ctx=None), JoinableQueue(3)):
        assert made._maxsize == 3
        assert repr(made).endswith(": 0 of 3 items>")
    for size in (0, -1):
        unlimited = Queue(size)
        assert unlimited._maxsize == std.Queue(size, ctx=std_context())._maxsize
        assert not unlimited.full()
        assert repr(unlimited).endswith(": 0 items>")


def std_context() -> Any:
    import multiprocessing

    return multiprocessing.get_context()


@pytest.mark.parametrize("size", ["1", 1.5, None])
def test_a_maxsize_that_is_no_number_is_refused(size: Any) -> None:
    with pytest.raises(TypeError):
        Queue(size)


# ---- in one process --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_first_in_first_out(kind: Any) -> None:
    made = kind()
    for item in (1, "two", [3], None):
        made.put(item)
    assert [made.get() for _ in range(4)] == [1, "two", [3], None]
    assert made.empty()


def test_full_and_empty_are_raised_in_time() -> None:
    made: Any = Queue(1)
    for get in (made.get_nowait, lambda: made.get(False), lambda: made.get(block=False, timeout=5)):
        with pytest.raises(Empty):
            get()
    for timeout, least in ((0.05, 0.05), (0, 0), (-1, 0)):
        began = time.monotonic()
        with pytest.raises(Empty):
            made.get(True, timeout)
        assert time.monotonic() - began >= least
    made.put(1, 1)  # any true value will do
    assert made.full()
    for put in (made.put_nowait, lambda x: made.put(x, False), lambda x: made.put(x, block=False, timeout=5)):
        with pytest.raises(Full):
            put(2)
    for timeout, least in ((0.05, 0.05), (0, 0), (-1, 0)):
        began = time.monotonic()
        with pytest.raises(Full):
            made.put(2, True, timeout)
        assert time.monotonic() - began >= least
    assert made.qsize() == 1


@pytest.mark.parametrize("item", [1, [1]])
def test_a_timeout_that_is_no_number_is_refused_though_there_is_room(item: Any) -> None:
    made: Any = Queue()
    for timeout, error in ((math.nan, ValueError), ("1", TypeError)):
        with pytest.raises(error):
            made.put(item, True, timeout)
    assert made.empty()


def test_many_at_a_time() -> None:
    made: Any = Queue()
    made.put_many(range(5))
    assert made.get_many(3) == [0, 1, 2]
    assert made.get_many(9) == [3, 4]
    assert made.get_many(0) == []
    with pytest.raises(Empty):
        made.get_many(2, timeout=0.01)


def test_task_done_and_join() -> None:
    made: Any = JoinableQueue()
    made.join()
    with pytest.raises(ValueError, match="too many times"):
        made.task_done()
    made.put(1)
    made.put(2)
    assert made._unfinished_tasks.get_value() == 2
    joined = threading.Event()
    thread = in_thread(lambda: (made.join(), joined.set()))
    for _ in range(2):
        made.get()
        assert not joined.wait(0.02)
        made.task_done()
    thread.join(LONG)
    assert joined.is_set()


class Unpicklable:
    def __reduce__(self) -> Any:
        raise AttributeError("not today")


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_pickled_raises_in_put_and_takes_no_room(kind: Any) -> None:
    made = kind()
    with pytest.raises(TransferError):
        made.put(Unpicklable())
    with pytest.raises(TransferError):
        made.put(threading.Lock())
    made.put(1)
    assert made.get() == 1
    assert made.empty()


class Told(Queue):  # type: ignore[type-arg]
    told: list[Any] = []  # noqa: RUF012

    @staticmethod
    def _on_queue_feeder_error(e: Exception, obj: object) -> None:
        Told.told.append((type(e), obj))


def test_a_subclass_with_a_hook_is_told_instead() -> None:
    made, bad = Told(1), Unpicklable()
    made.put(bad)
    made.put(1)
    assert made.get() == 1
    assert Told.told == [(AttributeError, bad)]


# ---- closing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Queue, JoinableQueue])
def test_a_closed_queue_refuses(kind: Any) -> None:
    made = kind()
    with pytest.raises(AssertionError, match="not closed"):
        made.join_thread()
    made.close()
    made.close()
    made.join_thread()
    made.cancel_join_thread()
    assert made.empty()
    for use in (lambda: made.put(1), made.get, made.get_nowait, lambda: made.put_nowait(1)):
        with pytest.raises(ValueError, match=r"^Queue <.*> is closed$"):
            use()


def test_a_closed_queue_that_was_used_cannot_tell_whether_it_is_empty() -> None:
    for made in (Queue(), JoinableQueue()):
        made.put("x")
        made.close()
        made.join_thread()
        with pytest.raises(OSError, match="is closed"):
            made.empty()
        assert made.qsize() == 1


def test_a_closed_simple_queue_raises_oserror() -> None:
    made: Any = SimpleQueue()
    made.close()
    made.close()
    assert made._reader.closed
    assert made._writer.closed
    for use in (lambda: made.put(1), made.get, made.empty, made._reader.recv, made._reader.fileno):
        with pytest.raises(OSError, match="is closed"):
            use()


def test_closing_ends_a_get_that_waits_in_another_thread() -> None:
    for made, error in ((Queue(), ValueError), (SimpleQueue(), OSError)):
        outcome: list[Any] = []

        def get(made: Any = made, outcome: list[Any] = outcome) -> None:
            try:
                outcome.append(made.get())
            except Exception as caught:  # noqa: BLE001
                outcome.append(caught)

        threads = [in_thread(get) for _ in range(3)]
        eventually(lambda made=made: len(made._port.waiting) == 3)
        made.close()
        for thread in threads:
            thread.join(LONG)
        assert [type(each) for each in outcome] == [error] * 3


def test_closing_in_a_signal_handler_ends_the_get_it_interrupts() -> None:
    made: Any = Queue()
    before = signal.signal(signal.SIGALRM, lambda *_: made.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(ValueError, match="is closed"):
            made.get()
    finally:
        signal.signal(signal.SIGALRM, before)


def use_after_closing(made: Any, done: Any) -> None:
    assert made.get() == 1
    made.put(2)
    made.close()
    done.set()


def test_closing_closes_one_process_s_end_only(ctx: Any) -> None:
    made, done = Queue(), Event()
    process = start(ctx, use_after_closing, made, done)
    made.put(1)
    assert done.wait(LONG)
    assert made.get() == 2
    end(process)


def test_a_forked_child_has_an_end_of_its_own() -> None:
    made: Any = Queue()
    made.close()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if put_quietly(made) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert made.qsize() == 1


def put_quietly(made: Any) -> bool:
    try:
        made.put(1)
    except ValueError:
        return False
    return True


def test_a_forked_child_closes_what_a_thread_of_its_parent_waits_for() -> None:
    made: Any = Queue()
    thread = in_thread(made.get)
    eventually(lambda: made._port.waiting)
    pid = os.fork()
    if pid == 0:
        made.close()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    made.put(1)
    thread.join(LONG)
    assert not thread.is_alive()


# ---- against a plain model -------------------------------------------------------------------


class QueueMachine(RuleBasedStateMachine):
    """A JoinableQueue of at most 4 items beside a deque and two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: Any = JoinableQueue(4)
        self.model: deque[Any] = deque()
        self.unfinished = 0

    @rule(item=st.one_of(st.integers(), st.binary(max_size=40_000), st.none()))
    def put(self, item: Any) -> None:
        if len(self.model) == 4:
            with pytest.raises(Full):
                self.queue.put_nowait(item)
            return
        self.queue.put(item)
        self.model.append(item)
        self.unfinished += 1

    @rule(block=st.booleans())
    def get(self, block: bool) -> None:
        if not self.model:
            with pytest.raises(Empty):
                self.queue.get(block, 0)
            return
        assert self.queue.get(block) == self.model.popleft()

    @rule(n=st.integers(1, 6))
    @precondition(lambda self: self.model)
    def get_many(self, n: int) -> None:
        expected = [self.model.popleft() for _ in range(min(n, len(self.model)))]
        assert self.queue.get_many(n) == expected

    @rule()
    def task_done(self) -> None:
        if not self.unfinished:
            with pytest.raises(ValueError, match="too many times"):
                self.queue.task_done()
            return
        self.queue.task_done()
        self.unfinished -= 1

    @rule()
    def look(self) -> None:
        assert self.queue.qsize() == len(self.model)
        assert self.queue.empty() is (not self.model)
        assert self.queue.full() is (len(self.model) == 4)
        assert self.queue._unfinished_tasks.get_value() == self.unfinished
        assert self.queue._sem.get_value() == 4 - len(self.model)
        if not self.unfinished:
            self.queue.join()


QueueMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
test_a_queue_behaves_like_a_deque = QueueMachine.TestCase
assert queue.Empty is Empty
