"""Both packages in one program, without the launcher: objects of either in processes of the other."""

import logging
import multiprocessing
import multiprocessing.connection
import multiprocessing.managers
import multiprocessing.pool
import multiprocessing.queues
import multiprocessing.shared_memory
import multiprocessing.sharedctypes
import multiprocessing.synchronize
from collections.abc import Iterator
from typing import Any

import pytest

import procession
import procession.connection
import procession.shared_memory
from tests.kit import eventually

STD, OURS = multiprocessing, procession

# ---- what they are -------------------------------------------------------------------------


def test_contexts_and_processes_are_the_stdlibs(ctx: Any, method: str) -> None:
    assert isinstance(ctx, STD.context.BaseContext)
    assert isinstance(ctx, type(STD.get_context(method)))
    process = ctx.Process()
    assert isinstance(process, STD.process.BaseProcess)
    assert isinstance(process, STD.get_context(method).Process)
    assert isinstance(OURS.Process(), STD.Process)


def test_shared_objects_are_the_stdlibs(ctx: Any) -> None:
    made = {
        STD.synchronize.Lock: ctx.Lock(),
        STD.synchronize.RLock: ctx.RLock(),
        STD.synchronize.Semaphore: ctx.Semaphore(),
        STD.synchronize.BoundedSemaphore: ctx.BoundedSemaphore(),
        STD.synchronize.Event: ctx.Event(),
        STD.synchronize.Condition: ctx.Condition(),
        STD.synchronize.Barrier: ctx.Barrier(1),
        STD.queues.Queue: ctx.Queue(),
        STD.queues.JoinableQueue: ctx.JoinableQueue(),
        STD.queues.SimpleQueue: ctx.SimpleQueue(),
        STD.sharedctypes.Synchronized: ctx.Value("i"),
        STD.sharedctypes.SynchronizedArray: ctx.Array("i", 2),
        STD.sharedctypes.SynchronizedString: ctx.Array("c", 2),
    }
    assert [kind for kind, thing in made.items() if not isinstance(thing, kind)] == []
    here, there = ctx.Pipe()
    with here, there:
        assert isinstance(here, STD.connection.Connection)


def test_pools_and_managers_are_the_stdlibs(ctx: Any) -> None:
    with ctx.Pool(1) as pool:
        assert isinstance(pool, STD.pool.Pool)
        assert isinstance(pool.apply_async(int), STD.pool.AsyncResult)
        assert isinstance(pool.map_async(abs, []), STD.pool.MapResult)
    with ctx.Manager() as manager:
        assert isinstance(manager, STD.managers.SyncManager)
        assert isinstance(manager.dict(), STD.managers.DictProxy)


# ---- who is who ----------------------------------------------------------------------------


def tell(connection: Any) -> None:
    names = STD.current_process().name, OURS.current_process().name
    record = logging.LogRecord("", 0, "", 0, "", (), None).processName
    same = STD.current_process() is OURS.current_process() and STD.parent_process() is OURS.parent_process()
    connection.send((*names, record, same))
    connection.close()


@pytest.mark.parametrize("package", [STD, OURS], ids=["theirs", "ours"])
def test_all_agree_who_the_current_process_is(package: Any, method: str) -> None:
    context = package.get_context(method)
    here, there = context.Pipe()
    with here, there:
        process = context.Process(target=tell, args=(there,), name="a name")
        process.start()
        assert here.recv() == ("a name", "a name", "a name", True)
        process.join()
    assert process.exitcode == 0


def test_children_are_known_to_both(ctx: Any, method: str) -> None:
    event = ctx.Event()
    processes = [ctx.Process(target=event.wait), STD.get_context(method).Process(target=event.wait)]
    for process in processes:
        process.start()
    assert set(processes) <= set(STD.active_children())
    assert set(STD.active_children()) == set(OURS.active_children())
    event.set()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]


# ---- objects of one in processes of the other ----------------------------------------------


class Lock:
    """How one kind of object is made, used in a child, and looked at in the parent meanwhile."""

    @staticmethod
    def make(context: Any) -> Any:
        lock = context.Lock()
        lock.acquire()
        return lock

    @staticmethod
    def child(lock: Any) -> None:
        assert not lock.acquire(False)
        lock.release()

    @staticmethod
    def parent(lock: Any) -> None:
        assert lock.acquire(timeout=30)
        lock.release()

    @staticmethod
    def end(made: Any) -> None:
        """Give up what it holds in the parent."""


class RLock(Lock):
    @staticmethod
    def make(context: Any) -> Any:
        return context.RLock()

    @staticmethod
    def child(lock: Any) -> None:
        with lock, lock:
            pass

    parent = child


class Semaphore(Lock):
    @staticmethod
    def make(context: Any) -> Any:
        return context.BoundedSemaphore(2), context.Semaphore(0)

    @staticmethod
    def child(pair: Any) -> None:
        assert pair[0].acquire(timeout=30)
        pair[1].release()

    @staticmethod
    def parent(pair: Any) -> None:
        assert pair[1].acquire(timeout=30)
        assert [pair[0].acquire(False), pair[0].acquire(False)] == [True, False]


class Event(Lock):
    @staticmethod
    def make(context: Any) -> Any:
        return context.Event(), context.Event()

    @staticmethod
    def child(pair: Any) -> None:
        pair[0].set()
        assert pair[1].wait(30)

    @staticmethod
    def parent(pair: Any) -> None:
        assert pair[0].wait(30)
        pair[1].set()


class Condition(Lock):
    @staticmethod
    def make(context: Any) -> Any:
        return context.Condition(), context.Value("i", 0)

    @staticmethod
    def child(pair: Any) -> None:
        with pair[0]:
            pair[1].value = 5
            pair[0].notify_all()

    @staticmethod
    def parent(pair: Any) -> None:
        with pair[0]:
            assert pair[0].wait_for(lambda: pair[1].value == 5, 30)


class Barrier(Lock):
    @staticmethod
    def make(context: Any) -> Any:
        return context.Barrier(2)

    @staticmethod
    def child(barrier: Any) -> None:
        barrier.wait(30)

    parent = child


class Queue(Lock):
    @staticmethod
    def make(context: Any) -> Any:
        queue = context.Queue()
        queue.put("down")
        return queue, context.SimpleQueue()

    @staticmethod
    def child(pair: Any) -> None:
        pair[1].put(pair[0].get(timeout=30))
        pair[0].put("up" * 50_000)

    @staticmethod
    def parent(pair: Any) -> None:
        assert pair[1].get() == "down"
        assert pair[0].get(timeout=30) == "up" * 50_000

    @staticmethod
    def end(pair: Any) -> None:
        pair[0].close()
        pair[0].join_thread()
        pair[1].close()


class JoinableQueue(Lock):
    @staticmethod
    def make(context: Any) -> Any:
        queue = context.JoinableQueue(5)
        queue.put(1)
        return queue

    @staticmethod
    def child(queue: Any) -> None:
        assert queue.get(timeout=30) == 1
        queue.task_done()

    @staticmethod
    def parent(queue: Any) -> None:
        queue.join()

    @staticmethod
    def end(queue: Any) -> None:
        queue.close()
        queue.join_thread()


class Pipe(Lock):
    @staticmethod
    def make(context: Any) -> Any:
        return context.Pipe()

    @staticmethod
    def child(ends: Any) -> None:
        ends[1].send({"a": [1]})
        assert ends[1].recv_bytes() == b"back"

    @staticmethod
    def parent(ends: Any) -> None:
        assert ends[0].recv() == {"a": [1]}
        ends[0].send_bytes(b"back")

    @staticmethod
    def end(ends: Any) -> None:
        ends[0].close()
        ends[1].close()


class Values(Lock):
    @staticmethod
    def make(context: Any) -> Any:
        return context.Value("i", 1), context.Array("d", [1, 2]), context.RawArray("b", 3), context.Event()

    @staticmethod
    def child(made: Any) -> None:
        value, array, raw, event = made
        with value:
            value.value += 1
        with array.get_lock():
            array[1] += 2.5
        raw[2] = -1
        event.set()

    @staticmethod
    def parent(made: Any) -> None:
        value, array, raw, event = made
        assert event.wait(30)
        assert (value.value, array[:], raw[:]) == (2, [1.0, 4.5], [0, 0, -1])


class Manager(Lock):
    @staticmethod
    def make(context: Any) -> Any:
        manager = context.Manager()
        return Proxies(manager, manager.dict(), manager.Lock())

    @staticmethod
    def child(made: Any) -> None:
        with made.lock:
            made.table["child"] = procession.current_process().name

    @staticmethod
    def parent(made: Any) -> None:
        eventually(lambda: made.table.get("child") == "the child", 30)

    @staticmethod
    def end(made: Any) -> None:
        made.manager.shutdown()
        vars(made).clear()


class Proxies:
    """A manager stays where it is; its proxies travel."""

    def __init__(self, manager: Any, table: Any, lock: Any) -> None:
        self.manager, self.table, self.lock = manager, table, lock

    def __getstate__(self) -> Any:
        return {"table": self.table, "lock": self.lock}


KINDS = [Lock, RLock, Semaphore, Event, Condition, Barrier, Queue, JoinableQueue, Pipe, Values, Manager]


@pytest.fixture
def made(request: pytest.FixtureRequest, kind: type[Lock], makers: Any, method: str) -> Iterator[Any]:
    """An object of that kind, of one of the packages."""
    things = kind.make(makers.get_context(method))
    yield things
    kind.end(things)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    ("makers", "users"), [(STD, OURS), (OURS, STD)], ids=["theirs in our process", "ours in their process"]
)
def test_objects_as_arguments(kind: type[Lock], users: Any, made: Any, method: str) -> None:
    process = users.get_context(method).Process(target=kind.child, args=(made,), name="the child")
    process.start()
    kind.parent(made)
    process.join()
    assert process.exitcode == 0


def write(memory: Any) -> None:
    memory.buf[:3] = b"abc"
    memory.close()


@pytest.mark.parametrize("makers", [STD, OURS], ids=["theirs", "ours"])
@pytest.mark.parametrize("users", [STD, OURS], ids=["in their process", "in our process"])
def test_named_memory_as_an_argument(makers: Any, users: Any, method: str) -> None:
    memory = makers.shared_memory.SharedMemory(create=True, size=10)
    try:
        process = users.get_context(method).Process(target=write, args=(memory,))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert bytes(memory.buf[:3]) == b"abc"
    finally:
        memory.close()
        memory.unlink()


def test_wait_takes_what_either_made(ctx: Any, method: str) -> None:
    theirs = STD.get_context(method)
    for wait in (STD.connection.wait, OURS.connection.wait):
        processes = [ctx.Process(), theirs.Process()]
        with_ends = [*ctx.Pipe(), *theirs.Pipe()]
        for process in processes:
            process.start()
        with_ends[1].send(1)
        with_ends[3].send(1)
        pending = {with_ends[0], with_ends[2], *(process.sentinel for process in processes)}
        while pending:
            pending -= set(wait(list(pending)))
        for thing in (*with_ends, *processes):
            if thing in processes:
                thing.join()
            thing.close()
