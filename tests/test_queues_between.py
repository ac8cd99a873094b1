"""Queues between processes: order, what travels, kills, size."""

import gc
import multiprocessing.queues as std
import os
import pickle
import threading
import time
from typing import Any

import pytest

from procession import get_context
from procession.queues import JoinableQueue, Queue, SimpleQueue
from procession.synchronize import Lock, Semaphore
from tests.kit import run_script
from tests.kit.running import LONG, end, in_thread, interrupted, killed, start
from tests.test_core_plain import NOT_PLAIN, PLAIN, same

KINDS = [Queue, JoinableQueue, SimpleQueue]
MB = 1 << 20


def memory() -> int:
    """Bytes that the machine can still give."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


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


@pytest.mark.parametrize("kind", KINDS)
def test_each_item_arrives_as_by_pickle(ctx: Any, kind: Any) -> None:
    made, back = kind(), kind()
    items = [*PLAIN, *NOT_PLAIN, [1, {"a": (2.5, None)}], "end"]
    process = start(ctx, echo_until, made, back, "end")
    for item in items:
        made.put(item)
    for item in items:
        assert same(back.get(), pickle.loads(pickle.dumps(item)))
    end(process)


def echo_until(incoming: Any, outgoing: Any, last: Any) -> None:
    for item in iter(incoming.get, last):
        outgoing.put(item)
    outgoing.put(last)


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
    def __init__(self, tag: object) -> None:
        super().__init__(4)
        self.tag = tag


class Stateful(Tagged):
    def __getstate__(self) -> Any:
        return (*super().__getstate__(), self.tag)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state[:-1])
        self.tag = state[-1].upper()


def check_tag(made: Any) -> None:
    assert hasattr(made, "tag") is isinstance(made, Stateful)
    assert made._maxsize == 4
    made.put((made._opid, getattr(made, "tag", None)))


def test_a_subclass_sees_to_its_attributes_itself(method: str) -> None:
    """As in the stdlib, whose queues pickle a fixed tuple: some have attributes that cannot travel.

    So has the call queue of ProcessPoolExecutor.
    """
    ctx: Any = get_context("spawn" if method == "fork" else method)  # fork pickles nothing
    for made, tag in ((Tagged(threading.Lock()), None), (Stateful("x"), "X")):
        process = start(ctx, check_tag, made)
        assert made.get() == (os.getpid(), tag)
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


def stream(made: Any, name: int, count: int, size: int) -> None:
    for number in range(count):
        made.put((name, number, b"x" * size))


@pytest.mark.parametrize("size", [1, 10_000, MB])
def test_writers_killed_in_the_middle_of_messages_do_not_stop_the_others(ctx: Any, size: int) -> None:
    made: Any = Queue(4)
    victims = [start(ctx, stream, made, name, 10**6, size) for name in range(2)]
    steady = start(ctx, stream, made, 9, 60, size)
    numbers: dict[int, list[int]] = {0: [], 1: [], 9: []}
    while len(numbers[9]) < 60:
        name, number, data = made.get(timeout=LONG)
        assert len(data) == size
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


# ---- size ------------------------------------------------------------------------------------


def send_big(made: Any, size: int) -> None:
    made.put(bytes(size))


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


FILLING = """\
import resource
import procession

METHOD, ITEM = {method!r}, {item}

def drain(queue, gate, answers):
    answers.put("up")
    gate.get()
    answers.put(sum(item == ITEM for item in iter(queue.get, None)))

def fill(queue):
    count = 0
    try:
        while True:
            queue.put(ITEM)
            count += 1
    except MemoryError as error:
        assert "heap" in str(error)
        return count

def put_when_there_is_room(queue, item):
    while True:
        try:
            return queue.put(item)
        except MemoryError:
            pass

if __name__ == "__main__":
    # The family's heap cannot grow beyond this.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (70 << 20, before[1]))
    ctx = procession.get_context(METHOD)
    queue, gate, answers = ctx.Queue(), ctx.Queue(), ctx.Queue()
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    process = ctx.Process(target=drain, args=(queue, gate, answers))
    process.start()
    assert answers.get() == "up"
    count = fill(queue)
    assert queue.qsize() == count
    gate.put("go")
    put_when_there_is_room(queue, None)
    assert answers.get() == count
    process.join()
    queue.put(ITEM)
    assert queue.get() == ITEM
    print("lives on")
"""


@pytest.mark.parametrize("item", ["5", "b'x' * 10_000", "b'y' * 40_000", "['z' * 100_000]"])
def test_where_memory_is_refused_the_queue_lives_on(method: str, item: str) -> None:
    result = run_script(FILLING.format(method=method, item=item))
    assert result.check().stdout == "lives on\n"
