"""Queues: between processes, under kills, as descriptors, and against a plain model."""

import gc
import multiprocessing.queues as std
import os
import pickle
import queue
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait as wait_for_any
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from procession import queues
from procession.errors import TransferError
from procession.queues import Empty, Full, JoinableQueue, Queue, SimpleQueue
from procession.synchronize import Event, Lock, Semaphore
from tests.kit import eventually, run_script
from tests.test_synchronize import LONG, end, in_thread, interrupted, killed, start

KINDS = [Queue, JoinableQueue, SimpleQueue]
MB = 1 << 20


def memory() -> int:
    """Bytes that the machine can still give."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


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
    made.put(1)
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


# ---- between processes -----------------------------------------------------------------------


def send_all(made: Any, items: list[Any]) -> None:
    for item in items:
        made.put(item)


@pytest.mark.parametrize("kind", KINDS)
def test_everything_arrives_in_order(ctx: Any, kind: Any) -> None:
    made, items = kind(), [*range(2000), "x" * 100_000, b"y" * (3 * MB), None]
    process = start(ctx, send_all, made, items)
    assert [made.get() for _ in items] == items
    end(process)


def echo(incoming: Any, outgoing: Any) -> None:
    for item in iter(incoming.get, None):
        outgoing.put(item)


def test_many_writers_and_readers_lose_and_double_nothing(ctx: Any) -> None:
    incoming, outgoing = Queue(7), SimpleQueue()
    readers = [start(ctx, echo, incoming, outgoing) for _ in range(2)]
    writers = [start(ctx, send_all, incoming, list(range(i, 900, 3))) for i in range(3)]
    taken = [outgoing.get() for _ in range(900)]
    assert sorted(taken) == list(range(900))
    for _ in readers:
        incoming.put(None)
    end(*readers, *writers)


def put_and_vanish(made: Any, item: Any) -> None:
    made.put(item)
    os._exit(0)


@pytest.mark.parametrize("size", [1, 5 * MB])
def test_what_was_put_right_before_the_end_arrives(ctx: Any, size: int) -> None:
    made = Queue()
    process = start(ctx, put_and_vanish, made, b"x" * size)
    process.join(LONG)
    assert len(made.get(timeout=LONG)) == size


def test_a_process_with_unread_items_can_be_joined(ctx: Any) -> None:
    made = Queue()
    end(start(ctx, send_all, made, [b"x" * MB] * 5))
    assert made.qsize() == 5


def test_a_program_ends_quietly_with_unread_items() -> None:
    result = run_script(
        """
        from procession.queues import Queue, SimpleQueue
        import threading
        q, s = Queue(), SimpleQueue()
        q.put(b"x" * 5_000_000)
        s.put(1)
        q._reader.fileno()
        threading.Thread(target=Queue().get, daemon=True).start()
        """
    ).check()
    assert result.stdout == result.stderr == ""


def forward(made: Any) -> None:
    inner = made.get()
    inner.put("through")
    assert made.get().acquire(timeout=0)


def test_queues_and_locks_travel_through_queues(ctx: Any) -> None:
    outer, inner, lock = SimpleQueue(), JoinableQueue(5), Lock()
    process = start(ctx, forward, outer)
    outer.put(inner)
    outer.put(lock)
    assert inner.get() == "through"
    end(process)
    assert lock.locked()


def test_what_is_inside_a_message_lives_until_it_is_taken() -> None:
    outer: Any = SimpleQueue()
    outer.put({"queue": Queue(3), "lock": Lock()})
    gc.collect()
    Queue(3).put("a stranger in the same place")
    found = outer.get()
    assert found["queue"].empty()
    assert found["queue"]._maxsize == 3
    assert found["lock"].acquire(timeout=0)
    assert outer._port.ring.carried() == []


class Tagged(Queue):  # type: ignore[type-arg]
    def __init__(self, tag: str) -> None:
        super().__init__(4)
        self.tag = tag


class Stateful(Queue):  # type: ignore[type-arg]
    def __init__(self, tag: str) -> None:
        super().__init__()
        self.tag = tag

    def __getstate__(self) -> Any:
        return (*super().__getstate__(), self.tag.upper())

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state[:-1])
        self.tag = state[-1]


def check_tag(made: Any) -> None:
    assert made.tag == "x"
    assert made._maxsize == 4
    made.put(made._opid)


def test_a_subclass_keeps_its_attributes(ctx: Any) -> None:
    made = Tagged("x")
    process = start(ctx, check_tag, made)
    assert made.get() == os.getpid()
    end(process)
    assert pickle.loads(pickle.dumps(Stateful("x"))).tag == "X"


def test_all_private_parts_can_be_made_before_it_is_pickled() -> None:
    made = Queue(3)
    parts = ("_reader", "_writer", "_rlock", "_wlock", "_notempty", "_buffer", "_sem", "_poll")
    before = {name: getattr(made, name) for name in parts}
    again = pickle.loads(pickle.dumps(made))
    again._writer.send(1)
    assert before["_reader"].recv() == 1
    with again._rlock:
        assert before["_rlock"].locked()


class Restored(SimpleQueue):  # type: ignore[type-arg]
    """As libraries write it that know what the stdlib's queues consist of."""

    def __init__(self, note: str) -> None:
        super().__init__()
        self.note = note

    def __getstate__(self) -> Any:
        return (self._reader, self._writer, self._rlock, self._wlock, self.note)

    def __setstate__(self, state: Any) -> None:
        (self._reader, self._writer, self._rlock, self._wlock, self.note) = state

    def put(self, obj: Any) -> None:
        with self._wlock:
            self._writer.send_bytes(pickle.dumps((self.note, obj)))


def test_a_subclass_may_restore_its_ends_by_hand(ctx: Any) -> None:
    made = Restored("x")
    process = start(ctx, send_all, made, [1, 2])
    assert [made.get(), made.get()] == [("x", 1), ("x", 2)]
    end(process)


class Fed(Queue):  # type: ignore[type-arg]
    """With a feeder thread of its own, which the stdlib's queue has to start."""

    def __init__(self, maxsize: int, *, ctx: Any) -> None:
        super().__init__(maxsize, ctx=ctx)

    def _start_thread(self) -> None:
        super()._start_thread()
        self._thread.name = "mine"


def test_a_subclass_with_its_own_feeder_gets_the_stdlibs_queue(ctx: Any) -> None:
    made = Fed(3, ctx=ctx)
    assert isinstance(made, std.Queue)
    assert not isinstance(made, Queue)
    process = start(ctx, send_all, made, [1, 2])
    assert [made.get(), made.get()] == [1, 2]
    end(process)
    made.put(3)
    assert made._thread.name == "mine"
    assert made.get() == 3
    made.close()
    made.join_thread()
    made._reader.close()


def take_forever(made: Any, ready: Any) -> None:
    ready.release()
    while True:
        made.get()


# ---- kills -----------------------------------------------------------------------------------


def test_a_reader_killed_while_it_waits_takes_nothing(ctx: Any) -> None:
    made, ready = Queue(), Semaphore(0)
    readers = [start(ctx, take_forever, made, ready) for _ in range(2)]
    for _ in readers:
        assert ready.acquire(timeout=LONG)
    time.sleep(0.05)
    for reader in readers:
        killed(reader)
    send_all(made, list(range(100)))
    assert [made.get(timeout=LONG) for _ in range(100)] == list(range(100))


def stream(made: Any, name: int, count: int) -> None:
    for number in range(count):
        made.put((name, number, b"x" * MB))


def test_writers_killed_in_the_middle_of_large_messages_do_not_stop_the_others(ctx: Any) -> None:
    made: Any = Queue(4)
    victims = [start(ctx, stream, made, name, 10**6) for name in range(2)]
    steady = start(ctx, stream, made, 9, 60)
    numbers: dict[int, list[int]] = {0: [], 1: [], 9: []}
    while len(numbers[9]) < 60:
        name, number, data = made.get(timeout=LONG)
        assert len(data) == MB
        numbers[name].append(number)
        if victims and len(numbers[9]) >= 10 * (3 - len(victims)):
            killed(victims.pop())
    end(steady)
    assert all(each == list(range(len(each))) for each in numbers.values())


def take_and_ack(made: Any, taken: Any) -> None:
    while True:
        taken.put(made.get())


def test_readers_killed_at_any_moment_cost_at_most_what_they_held(ctx: Any) -> None:
    made: Any = Queue()
    taken: Any = Queue(20)
    count, seen = 1000, []
    made.put_many(range(count))
    for _ in range(4):
        reader = start(ctx, take_and_ack, made, taken)
        seen += [taken.get(timeout=LONG) for _ in range(100)]
        killed(reader)
        seen += taken.get_many(100, timeout=1) if taken.qsize() else []
    rest = made.get_many(count)
    assert count - 4 <= len(rest) + len(seen) <= count
    assert seen + rest == sorted({*seen, *rest})


def test_ctrl_c_ends_each_wait() -> None:
    empty: Any = Queue()
    full: Any = JoinableQueue(1)
    full.put(1)
    for use in (empty.get, lambda: full.put(2), full.join, empty._reader.poll, SimpleQueue().get):
        with interrupted():
            use(None) if use == empty._reader.poll else use()
    empty.put(3)
    assert empty.get() == 3
    assert full.get() == 1
    full.put(2)
    assert full.get() == 2


# ---- the descriptor --------------------------------------------------------------------------


def is_readable(fd: Any) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_descriptor_tells_the_truth_at_once_about_this_process(kind: Any) -> None:
    made = kind()
    made.put(0)
    reader = made._reader
    assert is_readable(reader)
    for round_ in range(200):
        assert made.get() == round_
        assert not is_readable(reader)
        made.put(round_ + 1)
        assert is_readable(reader)
    made.put("second")
    made.get()
    assert is_readable(reader)
    assert reader.recv() == "second"
    assert not is_readable(reader)


def serve(incoming: Any, outgoing: Any) -> None:
    for item in iter(incoming.get, None):
        outgoing.put(item)
        outgoing.put(item)


def test_the_descriptor_follows_what_other_processes_do(ctx: Any) -> None:
    asked, answered = SimpleQueue(), SimpleQueue()
    process = start(ctx, serve, asked, answered)
    reader = answered._reader
    for number in range(100):
        asked.put(number)
        for _ in range(2):
            assert select.select([reader], [], [], LONG)[0]
            assert answered.get() == number
        assert not is_readable(reader)
    asked.put(None)
    end(process)


def test_another_process_that_empties_the_queue_clears_the_descriptor(ctx: Any) -> None:
    made, ready = Queue(), Semaphore(0)
    made.put(1)
    assert is_readable(made._reader)
    process = start(ctx, take_forever, made, ready)
    assert ready.acquire(timeout=LONG)
    eventually(lambda: not is_readable(made._reader))
    killed(process)
    made.put(2)
    assert is_readable(made._reader)


def test_threads_that_take_and_others_that_put_never_leave_it_wrong(ctx: Any) -> None:
    """The case for two threads: cleared by our own get, filled again by another process."""
    asked, answered = SimpleQueue(), SimpleQueue()
    process = start(ctx, serve, asked, answered)
    reader = answered._reader
    reader.fileno()
    for _ in range(5):
        for number in range(200):
            asked.put(number)
        for _ in range(400):
            assert select.select([reader], [], [], LONG)[0]
            answered.get()
        assert not is_readable(reader)
    asked.put(None)
    end(process)


def test_connection_wait_takes_queues_and_sentinels_together(ctx: Any) -> None:
    one, two = SimpleQueue(), Queue()
    process = start(ctx, send_all, two, [5])
    ready = wait_for_any([one._reader, two._reader], LONG)
    assert ready == [two._reader]
    assert two._reader.recv() == 5
    assert process.sentinel in wait_for_any([one._reader, two._reader, process.sentinel], LONG)
    end(process)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def watchers() -> int:
    return sum(thread.name.startswith("ProcessionQueue") for thread in threading.enumerate())


@pytest.mark.parametrize(
    "let_go", [lambda made: made.close(), lambda made: made._reader.close(), lambda made: None]
)
def test_threads_and_descriptor_go_with_the_queue(let_go: Callable[[Any], None]) -> None:
    gc.collect()
    before, threads = descriptors(), watchers()
    for _ in range(10):
        made = SimpleQueue()
        assert not is_readable(made._reader)
        let_go(made)
        del made
    eventually(lambda: watchers() == threads)
    eventually(lambda: descriptors() == before)


def test_a_queue_collected_in_a_cycle_ends_its_threads() -> None:
    threads = watchers()
    made: Any = SimpleQueue()
    made.myself = made
    made._reader.fileno()
    assert watchers() == threads + 2
    del made
    gc.collect()
    eventually(lambda: watchers() == threads)


def test_a_forked_child_makes_a_descriptor_of_its_own() -> None:
    made, answers = SimpleQueue(), SimpleQueue()
    fd = made._reader.fileno()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.fstat(fd)
        except OSError:
            made.put(1)
            code = 0 if is_readable(made._reader) and made.get() == 1 and not is_readable(made._reader) else 2
        os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert not is_readable(made._reader)
    made.put(2)
    assert is_readable(made._reader)
    answers.close()


# ---- the ends --------------------------------------------------------------------------------


def test_reader_and_writer_move_objects_and_bytes() -> None:
    made: Any = SimpleQueue()
    made._writer.send([1])
    made._writer.send_bytes(b"abcdef", 1, 3)
    made._writer.send_bytes(memoryview(b"xyz"))
    assert made.get() == [1]
    assert made._reader.recv_bytes() == b"bcd"
    with pytest.raises(OSError, match="length"):
        made._reader.recv_bytes(2)
    for offset, size in ((-1, None), (4, None), (0, 4), (1, -1)):
        with pytest.raises(ValueError, match="offset"):
            made._writer.send_bytes(b"abc", offset, size)
    with pytest.raises(ValueError, match="negative"):
        made._reader.recv_bytes(-1)


def test_poll_waits_for_a_message() -> None:
    made: Any = SimpleQueue()
    assert not made._reader.poll()
    began = time.monotonic()
    assert not made._reader.poll(0.05)
    assert time.monotonic() - began >= 0.05
    thread = in_thread(lambda: (time.sleep(0.05), made.put(1)))
    assert made._reader.poll(None)
    thread.join()
    assert made.get() == 1


def test_a_closed_end_closes_that_direction_only() -> None:
    made: Any = Queue()
    made._writer.close()
    with pytest.raises(OSError, match="closed"):
        made.put(1)
    other: Any = SimpleQueue()
    other.put(1)
    with other._reader as reader:
        assert reader.recv() == 1
    other.put(2)
    with pytest.raises(OSError, match="closed"):
        other.get()


def square(number: int) -> int:
    return number * number


def test_a_process_pool_executor_lives_on_our_queues(ctx: Any) -> None:
    with ProcessPoolExecutor(2, mp_context=ctx) as executor:
        assert list(executor.map(square, range(50))) == [number * number for number in range(50)]


# ---- size ------------------------------------------------------------------------------------


def send_big(made: Any, size: int) -> None:
    made.put(bytearray(size))


@pytest.mark.limit(180)
@pytest.mark.skipif(memory() < 16 << 30, reason="three gigabytes are needed several times over")
def test_a_message_of_three_gibibytes() -> None:
    made: Any = SimpleQueue()
    size = 3 << 30
    thread = in_thread(send_big, made, size)
    got = made.get()
    thread.join()
    assert len(got) == size
    assert not any(got[:: 1 << 20])


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
