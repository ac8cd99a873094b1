"""Large buffers between processes: whose they are, and where their memory goes."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from procession import _family
from procession.pool import Pool
from procession.queues import Queue, SimpleQueue
from procession.reduction import dumps, loads
from tests.arrays import LARGE, all_comes_home, assert_same, floats
from tests.kit import run_script
from tests.kit.running import LONG, end, killed, start


@pytest.fixture
def at_home() -> Iterator[None]:
    with all_comes_home():
        yield


# ---- whose it is -----------------------------------------------------------------------------


def test_later_changes_of_the_sender_are_not_seen_nor_the_receivers(at_home: None) -> None:
    queue, sent = Queue[Any](), floats()
    queue.put(sent)
    queue.put(sent)
    sent[0] = 7
    one, other = queue.get(), queue.get()
    one[1] = 8
    assert (one[0], other[0], other[1], sent[1]) == (0, 0, 1, 1)


def test_a_message_is_loaded_once() -> None:
    carry: list[Any] = []
    data = dumps(floats(), carry)
    first = loads(data)
    with pytest.raises(ReferenceError, match="was taken before"):
        loads(data)
    carry.clear()
    first[:] = 3
    del first
    with pytest.raises(ReferenceError):
        loads(data)


def test_what_is_never_loaded_goes_home(at_home: None) -> None:
    queue: Any = Queue()
    for _ in range(3):
        queue.put(floats())
    assert len(queue._recv_bytes()) < 1000
    assert queue.get()[1] == 1
    del queue


def test_a_fork_makes_two_of_it(at_home: None) -> None:
    queue: Any = Queue()
    queue.put(floats())
    held = queue.get()
    held[0] = 1
    to_child, to_parent = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.read(to_child[0], 1)
        held[2] = 3
        as_it_should = (held[0], held[1], held[2], held[-1]) == (1, 1, 3, held.size - 1)
        os.write(to_parent[1], b"x")
        os.read(to_child[0], 1)
        # Its parent's is gone, and others have got that memory.
        os._exit(not (as_it_should and held[3] == 3 and held.sum() == floats().sum() + 2))
    held[1] = 2
    _family.forked(child)
    os.write(to_child[1], b"x")
    os.read(to_parent[0], 1)
    assert (held[0], held[1], held[2]) == (1, 2, 2)
    del held
    others = [_family.Buffer(b"\xff" * LARGE) for _ in range(4)]
    os.write(to_child[1], b"x")
    assert os.waitpid(child, 0)[1] == 0
    assert all(bytes(other) == b"\xff" * LARGE for other in others)
    for fd in (*to_child, *to_parent):
        os.close(fd)
    _family.bury(child)


def echo(incoming: Any, outgoing: Any) -> None:
    for item in iter(incoming.get, None):
        outgoing.put(item)


def test_what_is_sent_on_reaches_a_third_process(ctx: Any, at_home: None) -> None:
    first, second, third = Queue[Any](), SimpleQueue[Any](), Queue[Any]()
    processes = [start(ctx, echo, first, second), start(ctx, echo, second, third)]
    for number in range(5):
        sent = {"a": floats() + number, "b": [b"x" * LARGE, number]}
        first.put(sent)
        assert_same(third.get(), sent)
    first.put(None)
    processes[0].join(LONG)
    second.put(None)
    end(*processes)


def test_what_a_process_put_before_its_end_is_there(ctx: Any, at_home: None) -> None:
    queue: Any = SimpleQueue()
    end(start(ctx, queue.put, floats()))
    got = queue.get()
    got += 1
    assert got[-1] == got.size
    queue.close()


# ---- where the memory goes -------------------------------------------------------------------


def add_one(rows: Any) -> Any:
    rows += 1
    return rows


def test_a_thousand_arrays_leave_nothing_behind(ctx: Any, at_home: None) -> None:
    with ctx.Pool(2) as pool:
        mb = np.zeros(1 << 17)
        pool.map(add_one, [mb] * 8, 1)
        before = _family.heap_stats()["top"]
        for result in pool.imap(add_one, (mb + number for number in range(1000)), 1):
            assert result[0] == result[-1]
        assert _family.heap_stats()["top"] < before + (300 << 20)
    pool.join()
    assert mb.sum() == 0


def keep(queue: Any, told: Any) -> None:
    kept = [queue.get() for _ in range(5)]
    told.put(sum(len(item) for item in kept))
    queue.get()


def flood(queue: Any) -> None:
    while True:
        queue.put([floats(), b"x" * LARGE, floats()])


def test_a_killed_receivers_memory_comes_home(ctx: Any, at_home: None) -> None:
    queue, told = Queue[Any](), SimpleQueue[Any]()
    process = start(ctx, keep, queue, told)
    for _ in range(5):
        queue.put(floats())
    assert told.get() == 5 * len(floats())
    killed(process)


def test_a_sender_killed_in_the_middle_harms_nobody(ctx: Any, at_home: None) -> None:
    for taken in (0, 1, 5, 12):
        queue: Any = Queue(6)
        process = start(ctx, flood, queue)
        for _ in range(taken):
            assert queue.get()[2][-1] == len(floats()) - 1
        killed(process)
        while not queue.empty():
            first, second, third = queue.get()
            assert (first.sum(), len(second), third.sum()) == (floats().sum(), LARGE, floats().sum())
        queue.put(floats())
        assert queue.get()[1] == 1
        del queue, process


def die_on(rows: Any) -> Any:
    if rows[0] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return rows * 2


def test_a_worker_killed_with_an_array_in_hand_costs_that_task_alone(ctx: Any, at_home: None) -> None:
    with ctx.Pool(2) as pool:
        results = [pool.apply_async(die_on, (floats() + number,)) for number in range(6)]
        for number, result in enumerate(results):
            if number == 3:
                with pytest.raises(Exception, match="SIGKILL"):
                    result.get(LONG)
            else:
                np.testing.assert_array_equal(result.get(LONG), (floats() + number) * 2)
    pool.join()


def test_where_memory_is_refused_the_pool_lives_on() -> None:
    result = run_script(
        """
        import resource
        import numpy as np
        import procession

        def make(size): return np.ones(size)
        def total(rows): return float(rows.sum())

        if __name__ == "__main__":
            before = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (3 << 29, before[1]))
            with procession.get_context("fork").Pool(1) as pool:
                # The heap has got few addresses; from here on there are enough for everything else.
                assert pool.apply(total, (np.ones(10**6),)) == 10**6
                resource.setrlimit(resource.RLIMIT_AS, before)
                queue = procession.SimpleQueue()
                for put in (queue.put, lambda rows: pool.apply(total, (rows,))):
                    try:
                        put(np.ones(10**8))
                    except MemoryError as error:
                        print("refused:", "heap" in str(error))
                try:
                    pool.apply(make, (10**8,))
                except MemoryError as error:
                    print("refused:", "heap" in str(error))
                assert pool.apply(total, (np.ones(10**6),)) == 10**6
                assert (pool.apply(make, (10**6,)) == 1).all()
                queue.put(np.ones(10**6))
                assert queue.get().sum() == 10**6
        """
    )
    assert result.check().stdout == "refused: True\n" * 3


def test_functions_with_large_buffers_reach_every_worker(ctx: Any) -> None:
    from functools import partial

    with ctx.Pool(2) as pool:
        rows = floats()
        assert pool.map(partial(np.multiply, 2.0), [rows] * 4, 1)[3][5] == 10
        assert [made[1] for made in pool.map(partial(np.add, rows), range(20), 1)] == list(range(1, 21))
    pool.join()


def test_pools_close_with_arrays_under_way(ctx: Any, at_home: None) -> None:
    pool: Pool = ctx.Pool(2)
    pool.map_async(add_one, [floats()] * 50, 1)
    pool.terminate()
    pool.join()
    del pool
