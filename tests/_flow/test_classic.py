"""Subclasses that replace parts of the stdlib's pool, as joblib's, torch's and many programs' do."""

import multiprocessing.pool
from typing import Any

import pytest

import procession
from procession import pool as pools
from procession._flow.classic import Classic
from tests.pools import square


class OwnQueues(pools.Pool):
    """As joblib's and torch's pools: queues of its own."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.set_up = 0
        super().__init__(*args, **options)

    def _setup_queues(self) -> None:
        self.set_up += 1
        self._inqueue: Any = self._ctx.SimpleQueue()
        self._outqueue: Any = self._ctx.SimpleQueue()
        self._quick_put = self._inqueue.put
        self._quick_get = self._outqueue.get


class OwnWorkers(pools.Pool):
    """Starts workers in a way of its own."""

    _static = staticmethod(multiprocessing.pool.Pool._repopulate_pool_static)  # type: ignore[attr-defined]

    def _repopulate_pool(self) -> None:
        self.populated = True
        self._static(
            self._ctx,
            self.Process,
            self._processes,
            self._pool,
            self._inqueue,  # type: ignore[attr-defined]
            self._outqueue,  # type: ignore[attr-defined]
            self._initializer,
            self._initargs,
            self._maxtasksperchild,
            self._wrap_exception,  # type: ignore[attr-defined]
        )


class BelowOwnQueues(OwnQueues):
    pass


class Plain(pools.Pool):
    def map(self, func: Any, iterable: Any, chunksize: int | None = None) -> list[Any]:
        return [("mine", value) for value in super().map(func, iterable, chunksize)]


def test_queues_of_their_own(ctx: Any) -> None:
    for kind in (OwnQueues, BelowOwnQueues):
        assert issubclass(kind, Classic)
        with kind(2, context=ctx) as pool:
            assert pool.set_up == 1
            assert pool._taskqueue is not None  # type: ignore[attr-defined]
            assert pool.map(square, range(10)) == [i * i for i in range(10)]
            assert list(pool.imap(square, range(10), 3)) == [i * i for i in range(10)]
            assert pool.apply_async(square, (3,)).get() == 9
            assert isinstance(pool, pools.Pool)
            assert type(pool._pool[0]) is ctx.Process
        pool.join()
        assert repr(pool).startswith(f"<{__name__}.{kind.__name__} state=TERMINATE")


def test_workers_of_their_own(ctx: Any) -> None:
    with OwnWorkers(2, context=ctx) as pool:
        assert pool.populated
        assert pool.map(square, [1, 2]) == [1, 4]
    pool.join()


def test_other_subclasses_keep_this_engine() -> None:
    assert not issubclass(Plain, Classic)
    with Plain(1, context=procession.get_context("fork")) as pool:
        assert pool.map(square, [2]) == [("mine", 4)]
        assert pool._engine
    pool.join()


def test_threads_with_parts_of_their_own() -> None:
    class Threads(pools.ThreadPool):
        def _setup_queues(self) -> None:
            super()._setup_queues()
            self.set_up = True

    with Threads(2) as pool:
        assert pool.set_up
        assert pool.map(square, [1, 2]) == [1, 4]
    pool.join()


def test_the_default_context_and_size() -> None:
    with OwnQueues() as pool:
        assert pool._ctx.get_start_method() == procession.get_start_method()
        assert type(pool._ctx).__module__.startswith("procession")
        assert len(pool._pool) == pool._processes
    pool.join()


def test_a_recipe_that_puts_into_the_stdlibs_task_queue_fails_clearly() -> None:
    def istarmap(pool: Any, function: Any, iterable: Any, chunksize: int = 1) -> Any:
        batches = pools.Pool._get_tasks(function, iterable, chunksize)  # type: ignore[attr-defined]
        result = pools.IMapIterator(pool)  # type: ignore[attr-defined]
        pool._taskqueue.put((batches, result._set_length))
        return result

    with pools.ThreadPool(1) as pool, pytest.raises(TypeError, match="use starmap"):
        istarmap(pool, pow, [(2, 3)])
    pool.join()
