"""Pools from their making to their end, when nothing goes wrong."""

import gc
import multiprocessing
import multiprocessing.pool
import os
import pickle
import threading
import time
import weakref
from typing import Any

import pytest

import procession
from procession import pool as pools
from tests.kit import alive, eventually, run_script
from tests.pools import (
    KINDS,
    LONG,
    get_global,
    make_lock,
    make_pool,
    pid,
    put_in,
    set_global,
    square,
    take_lock,
    touch,
    wait_for,
)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# ---- making --------------------------------------------------------------------------------


def test_arguments_are_checked() -> None:
    for wrong in (0, -1):
        with pytest.raises(ValueError, match=f"at least 1, not {wrong}"):
            procession.Pool(wrong)
    with pytest.raises(TypeError):
        procession.Pool(1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="initializer must be a callable, not 5"):
        procession.Pool(1, 5)  # type: ignore[arg-type]
    for wrong_tasks in (0, -1, 0.5, "12"):
        with pytest.raises(ValueError, match="maxtasksperchild must be a positive int or None, not"):
            procession.Pool(1, maxtasksperchild=wrong_tasks)  # type: ignore[arg-type]
    gc.collect()


def test_attributes_that_programs_read(ctx: Any) -> None:
    with ctx.Pool(2, set_global, (1,), 50) as pool:
        assert isinstance(pool, multiprocessing.pool.Pool)
        assert type(pool) is pools.Pool
        assert (pool._processes, pool._maxtasksperchild) == (2, 50)
        assert (pool._initializer, pool._initargs) == (set_global, (1,))
        assert pool._ctx.get_start_method() == ctx.get_start_method()
        assert pool._state == pools.RUN
        assert repr(pool) == "<procession.pool.Pool state=RUN pool_size=2>"
        assert all(worker.is_alive() and worker.daemon for worker in pool._pool)
        assert all("PoolWorker-" in worker.name for worker in pool._pool)
        assert {worker.pid for worker in pool._pool} >= set(pool.map(pid, range(10), 1))
        pool._repopulate_pool()
        assert len(pool._pool) == 2
        assert not pool._cache
    pool.join()
    assert pool._pool == []


def test_default_size_is_what_may_be_used() -> None:
    with procession.get_context("fork").Pool() as pool:
        assert pool._processes == len(pool._pool) <= len(os.sched_getaffinity(0))
    pool.join()


def test_results_are_the_stdlibs(kind: str) -> None:
    with make_pool(kind, 1) as pool:
        assert isinstance(pool.apply_async(pid), multiprocessing.pool.ApplyResult)
        assert isinstance(pool.map_async(pid, [1]), multiprocessing.pool.MapResult)
        assert isinstance(pool.imap(pid, [1]), multiprocessing.pool.IMapIterator)
        assert isinstance(pool.imap_unordered(pid, [1]), multiprocessing.pool.IMapUnorderedIterator)
        assert pools.AsyncResult is pools.ApplyResult
        assert pools.AsyncResult[int]
        assert isinstance(pool, multiprocessing.pool.ThreadPool) == (kind == "threads")
    pool.join()


def test_a_pool_cannot_be_pickled(kind: str) -> None:
    with make_pool(kind, 1) as pool, pytest.raises(NotImplementedError, match="cannot be passed"):
        pickle.dumps(pool)
    pool.join()


def test_tasks_of_a_dropped_iterator_are_run(kind: str, tmp_path: Any) -> None:
    paths = [str(tmp_path / str(i)) for i in range(300)]
    with make_pool(kind, 2) as pool:
        pool.imap_unordered(touch, paths)
        for _ in pool.imap(touch, iter(paths)):
            break
        pool.close()
        pool.join()
    assert len(list(tmp_path.iterdir())) == 300


def test_close_and_join_come_before_the_results_are_taken(kind: str) -> None:
    with make_pool(kind, 2) as pool:
        sized, unsized = pool.imap(square, range(300)), pool.imap(square, iter(range(300)))
        pool.close()
        pool.join()
    assert list(sized) == list(unsized) == [i * i for i in range(300)]


def test_locks_and_queues_travel_both_ways(ctx: Any) -> None:
    queue = ctx.Queue()
    with ctx.Pool(2) as pool:
        pool.starmap(put_in, [(queue, i) for i in range(10)], 3)
        assert sorted(queue.get(timeout=LONG) for _ in range(10)) == list(range(10))
        locks = pool.map(make_lock, range(20), 1)
        assert all(pool.map(take_lock, locks))
        assert all(lock.acquire(timeout=LONG) for lock in locks)
    queue.close()
    pool.join()


def test_initializer(kind: str) -> None:
    with make_pool(kind, 2, set_global, ("seen",)) as pool:
        assert pool.map(get_global, range(10), 1) == ["seen"] * 10
    with make_pool(kind, 1, initializer=lambda *args: set_global(args), initargs=iter([1, 2])) as pool:
        assert pool.apply(get_global) == (1, 2)
    set_global(None)


def test_a_pending_result_is_in_the_cache(kind: str, tmp_path: Any) -> None:
    gate = str(tmp_path / "gate")
    with make_pool(kind, 1) as pool:
        result = pool.apply_async(wait_for, (gate,))
        assert len(pool._cache) == 1
        touch(gate)
        assert eventually(lambda: not pool._cache)
        assert result.get(0) == gate
    pool.join()


# ---- the end -------------------------------------------------------------------------------


def test_close_and_join_finish_what_was_begun(kind: str) -> None:
    pool = make_pool(kind, 2)
    results = [pool.apply_async(square, (i,)) for i in range(100)]
    calls: list[Any] = []
    mapped = pool.map_async(square, range(100), 3, callback=calls.append)
    pool.close()
    pool.join()
    pool.join()
    assert [result.get(0) for result in results] == mapped.get(0) == calls[0]
    assert pool._state == pools.CLOSE
    assert pool._pool == []


def test_a_closed_pool_ends_though_nobody_joins(ctx: Any) -> None:
    pool = ctx.Pool(2)
    workers = [worker.pid for worker in pool._pool]
    result = pool.map_async(square, range(10), 1)
    pool.close()
    assert eventually(lambda: not any(alive(worker) for worker in workers))
    assert result.get(0) == [i * i for i in range(10)]
    pool.join()


def test_join_comes_after_close(kind: str) -> None:
    with make_pool(kind, 1) as pool, pytest.raises(ValueError, match="still running"):
        pool.join()
    pool.join()


@pytest.mark.parametrize("end", ["close", "terminate"])
def test_an_ended_pool_takes_nothing(kind: str, end: str) -> None:
    pool = make_pool(kind, 1)
    getattr(pool, end)()
    for method in (
        pool.map,
        pool.map_async,
        pool.starmap,
        pool.starmap_async,
        pool.imap,
        pool.imap_unordered,
    ):
        with pytest.raises(ValueError, match="Pool not running: it was"):
            method(square, [1])
    for method in (pool.apply, pool.apply_async):
        with pytest.raises(ValueError, match="Pool not running"):
            method(square, (1,))
    with pytest.raises(ValueError, match="Pool not running"):
        pool.__enter__()
    pool.join()


def test_nothing_is_kept_of_what_was_done(kind: str) -> None:
    class Argument:
        pass

    arguments = [Argument() for _ in range(10)]
    references = [weakref.ref(argument) for argument in arguments]
    with make_pool(kind, 2) as pool:
        pool.map(type, arguments, 1)
        pool.apply_async(type, (arguments[0],), callback=id).get(LONG)
        list(pool.imap(type, arguments))
        del arguments
        assert eventually(lambda: gc.collect() is not None and not any(ref() for ref in references))
    pool.join()


def test_a_joined_pool_holds_nothing(ctx: Any) -> None:
    from procession import _family

    # What a process keeps for itself once it has had workers.
    with ctx.Pool(1) as first:
        first.apply(square, (3,))
    first.join()
    del first
    gc.collect()
    before, threads = _family.heap_stats(), threading.enumerate()
    pool = ctx.Pool(3, maxtasksperchild=5)
    results = pool.map_async(square, range(100), 1, callback=id)
    numbers = pool.imap(square, iter(range(10)))
    pool.close()
    pool.join()
    assert sum(numbers) == 285
    assert threading.enumerate() == threads
    gc.collect()
    after = _family.heap_stats()
    assert (after["objects"], after["blocks"]) <= (before["objects"], before["blocks"])
    assert len(results.get(0)) == 100


def test_maxtasksperchild_counts_chunks(ctx: Any) -> None:
    with ctx.Pool(1, maxtasksperchild=2) as pool:
        workers = pool.map(pid, range(12), 3)
    pool.join()
    assert [workers.count(worker) for worker in dict.fromkeys(workers)] == [6, 6]


@pytest.mark.parametrize("drop", ["del pool", "", "pool.close()", "import sys; sys.exit(3)"])
def test_a_forgotten_pool_takes_its_workers_along(method: str, drop: str) -> None:
    result = run_script(
        f"""
        import time
        import procession
        from tests.pools import touch_and_sleep, square

        if __name__ == "__main__":
            pool = procession.get_context({method!r}).Pool(2)
            assert pool.map(square, [3]) == [9]
            pool.apply_async(time.sleep, (30,))
            {drop}
        """,
        env={"PYTHONPATH": os.pathsep.join(["src", os.getcwd(), os.path.join(os.getcwd(), "src")])},
    )
    assert result.leftovers == (), result.report()
    assert result.returncode == (3 if "exit" in drop else 0), result.report()
    assert result.stderr == ""


@pytest.mark.filterwarnings("ignore:unclosed running:ResourceWarning")
def test_a_dropped_pool_is_collected(ctx: Any) -> None:
    pool = ctx.Pool(1)
    worker = pool._pool[0].pid
    reference = weakref.ref(pool)
    del pool
    assert reference() is None
    assert eventually(lambda: not alive(worker))


def test_a_running_pool_that_is_dropped_warns(kind: str) -> None:
    pools_made = [make_pool(kind, 1)]
    with pytest.warns(ResourceWarning, match="unclosed running multiprocessing pool <procession.pool"):
        pools_made.clear()


@pytest.mark.filterwarnings("ignore:unclosed running:ResourceWarning")
def test_a_pending_result_holds_its_pool(ctx: Any, tmp_path: Any) -> None:
    gate = str(tmp_path / "gate")
    result = ctx.Pool(1).apply_async(wait_for, (gate,))
    gc.collect()
    touch(gate)
    assert result.get(LONG) == gate


def random_numbers(_: int) -> tuple[int, float, float]:
    import random

    import numpy as np

    time.sleep(0.02)  # so that no worker has all
    return os.getpid(), random.random(), float(np.random.random())


def test_random_numbers_differ_in_each_worker(ctx: Any) -> None:
    import random

    import numpy as np

    random.random(), np.random.random()
    with ctx.Pool(3) as pool:
        found = pool.map(random_numbers, range(30), 1)
    pool.join()
    assert len({worker for worker, _, _ in found}) > 1
    assert len({number for _, number, _ in found}) == 30
    assert len({number for _, _, number in found}) == 30


def test_an_initializer_may_seed(ctx: Any) -> None:
    import numpy as np

    with ctx.Pool(1, np.random.seed, (5,)) as pool:
        _, _, number = pool.apply(random_numbers, (0,))
    pool.join()
    np.random.seed(5)
    assert number == float(np.random.random())
