"""Pool and ThreadPool: functions run by workers, in the order in which they become free.

Here are arguments, chunks and the stdlib's names; how a task travels is in `_flow`.  All other names
of the stdlib's module are here too.
"""

from __future__ import annotations

import operator
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from multiprocessing import pool as _std
from multiprocessing import util as _util
from multiprocessing.pool import CLOSE, INIT, RUN, TERMINATE
from typing import Any

from . import _alias, _default
from . import _private as private
from ._cpus import processors, usable_cpus
from ._flow import engine
from ._flow.classic import classic
from ._flow.feed import Feed
from ._flow.future import ApplyResult, AsyncResult, MapResult
from ._flow.job import Callback
from ._flow.shares import even, shares
from ._flow.stream import IMapIterator, IMapUnorderedIterator, Stream
from ._flow.task import APPLY, EACH, STAR, Call
from ._handlers import raised_by_handler

__all__ = ["Pool", "ThreadPool"]

Function = Callable[..., Any]


class Pool(_std.Pool):
    """Worker processes that run functions.

    `processes`: how many, by default as many as this process may use processors.
    `initializer(*initargs)` is called in each worker when it starts.  `maxtasksperchild`: chunks after
    which a worker is replaced by a new one, None for never.  `context`: decides how workers are
    started; by default the program's.

    Results come in the end, or an error does: a worker that dies is replaced, and the one task that it
    ran raises WorkerLostError; what was pending when the pool was terminated raises ProcessError.
    Tasks that had ended, but whose answers had not left the worker that died, are run again by another;
    there are none of `apply`, nor of `imap` with a `chunksize` of 1, but there may be of `map`.

    A pool must be closed or terminated; used in a `with` statement it is terminated at its end.

    Raises ValueError for fewer than one process or task, TypeError for an initializer that cannot be
    called, and what starting a process raises.
    """

    _engine: engine.Engine

    def __init__(
        self,
        processes: int | None = None,
        initializer: Function | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        # First what __del__ looks at, whatever fails below.
        self._pool: Sequence[Any] = []
        self._state = INIT
        self._processes = _checked_size(processes)
        self._maxtasksperchild = _checked_most(maxtasksperchild)
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, not {initializer!r}")
        self._initializer = initializer
        self._initargs = initargs
        self._ctx = context or _default.get_context()
        self._engine = self._new_engine()
        self._scheduler = self._engine.scheduler
        self._pool = self._engine.crew.workers
        self._terminate = _util.Finalize(self, self._engine.end, exitpriority=15)
        self._state = RUN
        private.undo(_disown)
        _pools.add(self)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give a subclass that replaces parts of the stdlib's machinery that machinery."""
        super().__init_subclass__(**kwargs)
        classic(cls, Pool)

    def _new_engine(self) -> engine.Engine:
        begin = self._initializer, tuple(self._initargs)
        make = partial(self.Process, self._ctx)  # type: ignore[arg-type]
        return engine.of_processes(self._processes, make, begin, self._maxtasksperchild)

    def __del__(self, _warn: Any = warnings.warn, run: str = RUN) -> None:
        if self._state == run:
            _warn(f"unclosed running multiprocessing pool {self!r}", ResourceWarning, source=self)

    # ---- calls

    def apply(self, func: Function, args: Iterable[Any] = (), kwds: Mapping[str, Any] = {}) -> Any:
        """`func(*args, **kwds)`, run by a worker; waits for the result.

        Raises as `AsyncResult.get` does; ValueError if the pool is closed.
        """
        return self.apply_async(func, args, kwds).get()

    def apply_async(
        self,
        func: Function,
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        callback: Callback | None = None,
        error_callback: Callback | None = None,
    ) -> AsyncResult[Any]:
        """As `apply`, but gives an AsyncResult at once.

        `callback(result)` or `error_callback(error)` is called in a thread of this process, one call
        after the other, before the result counts as ready.
        """
        self._check_running()
        scheduler = self._scheduler
        result: AsyncResult[Any] = ApplyResult(self, callback, error_callback, call=Call(func, APPLY))
        scheduler.begin(result, scheduler.submit, result, 0, [(args, kwds)], once=True)
        return result

    def map(self, func: Function, iterable: Iterable[Any], chunksize: int | None = None) -> list[Any]:
        """`[func(x) for x in iterable]`, run by all workers; waits for the results.

        `chunksize` items at a time are one worker's, one after the other; by default each item goes to
        whoever is free.  If tasks raise, the others are run nevertheless, then the first error in the
        order of the input is raised.  ValueError if the pool is closed, or for a `chunksize` below 1.

        A worker that dies may have done short tasks that it had not answered, whatever the `chunksize`:
        they are run again.  Where that must not be, use `imap`.
        """
        return self._map(EACH, func, iterable, chunksize).get()

    def map_async(
        self,
        func: Function,
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callback | None = None,
        error_callback: Callback | None = None,
    ) -> MapResult[Any]:
        """As `map`, but gives an AsyncResult at once; for the callbacks see `apply_async`."""
        return self._map(EACH, func, iterable, chunksize, callback, error_callback)

    def starmap(
        self, func: Function, iterable: Iterable[Iterable[Any]], chunksize: int | None = None
    ) -> list[Any]:
        """As `map`, with an iterable of argument tuples: `[func(*x) for x in iterable]`."""
        return self._map(STAR, func, iterable, chunksize).get()

    def starmap_async(
        self,
        func: Function,
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callback | None = None,
        error_callback: Callback | None = None,
    ) -> MapResult[Any]:
        """As `starmap`, but gives an AsyncResult at once; for the callbacks see `apply_async`."""
        return self._map(STAR, func, iterable, chunksize, callback, error_callback)

    def imap(  # type: ignore[override]
        self, func: Function, iterable: Iterable[Any], chunksize: int = 1
    ) -> IMapIterator:
        """As `map`, but gives an iterator, which has each result, in order, as soon as it is there.

        The input is read only a little further than results are taken.  `next(timeout)` of the iterator
        raises TimeoutError if nothing comes in time.  Where a worker dies, no task is run again that was
        done, but those of the same chunk may be.
        """
        iterator: IMapIterator = self._imap(IMapIterator, func, iterable, chunksize)
        return iterator

    def imap_unordered(  # type: ignore[override]
        self, func: Function, iterable: Iterable[Any], chunksize: int = 1
    ) -> IMapUnorderedIterator:
        """As `imap`, but results come as they are done, in any order."""
        iterator: IMapUnorderedIterator = self._imap(IMapUnorderedIterator, func, iterable, chunksize)
        return iterator

    # ---- the end

    def close(self) -> None:
        """Take nothing new: workers end when all that was asked for is done.  Does not wait for it."""
        _util.debug("closing pool")
        if self._state == RUN:
            self._state = CLOSE
            self._engine.close()

    def terminate(self) -> None:
        """End the workers at once; what is pending raises ProcessError.

        Returns within seconds, whatever workers, callbacks or the input of an imap are doing.  May be
        called by any thread, from callbacks and signal handlers, and again.
        """
        _util.debug("terminating pool")
        self._state = TERMINATE
        self._engine.end()

    def join(self) -> None:
        """Wait for the workers to end, after `close` for all tasks too.

        ValueError if neither `close` nor `terminate` was called; RuntimeError in a callback after
        `close`, which would wait for itself.
        """
        _util.debug("joining pool")
        if self._state == RUN:
            raise ValueError("Pool is still running: close() or terminate() it before join()")
        if self._state not in (CLOSE, TERMINATE):
            raise ValueError(f"In unknown state {self._state!r}")
        self._engine.join()
        self._terminate.cancel()

    # ---- behind the calls

    def _map(
        self,
        mode: int,
        func: Function,
        iterable: Iterable[Any],
        chunksize: int | None,
        callback: Callback | None = None,
        error_callback: Callback | None = None,
    ) -> MapResult[Any]:
        self._check_running()
        items, error = _listed(iterable)
        size = _checked_chunks(chunksize, len(items), self._processes)
        call = Call(func, mode, size if chunksize is not None or self._sends_units else 0)
        result: MapResult[Any] = MapResult(self, size, len(items), callback, error_callback, call=call)
        scheduler = self._scheduler
        if error is None:
            scheduler.begin(result, result.submit, items, self._lengths(items, call.unit))
        else:
            scheduler.begin(result, scheduler.reject, result, error)
        return result

    @property
    def _sends_units(self) -> bool:
        """Does a message hold one unit?  Workers that are replaced count them."""
        return self._maxtasksperchild is not None

    def _lengths(self, items: Sequence[Any], unit: int) -> Iterable[int]:
        return even(items, unit) if self._sends_units else shares(items, unit, self._processes, processors)

    def _imap(self, kind: Any, func: Function, iterable: Iterable[Any], chunksize: int) -> Any:
        self._check_running()
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize!r}")
        size = min(operator.index(chunksize), _LARGEST)
        scheduler = self._scheduler
        stream = Stream(self, Call(func, EACH, size, size), ordered=kind is IMapIterator)
        feed = Feed(scheduler, stream, size, self._processes, single=self._sends_units)
        scheduler.begin(stream, feed.begin, iterable)
        return kind(stream, feed.refill, feed.orphan)

    @property
    def _cache(self) -> dict[int, Any]:
        """What is pending.  Programs look at its length, so what has come is worked off first."""
        self._scheduler.drain()
        return self._scheduler.jobs

    def _check_running(self) -> None:
        if self._state != RUN:
            raise ValueError(f"Pool not running: {_WHY.get(self._state, self._state)}")

    def _repopulate_pool(self) -> None:
        self._engine.crew.fill()

    def __reduce__(self) -> Any:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")


class ThreadPool(Pool, _std.ThreadPool):
    """As Pool, with threads of this process as workers: nothing is pickled.

    Threads cannot be killed: after `terminate`, `join` waits for the tasks that they are running.
    """

    _wrap_exception = False
    _sends_units = True
    """There is nothing to be saved, and threads have no claims, from which something could be cut off."""

    def __init__(
        self,
        processes: int | None = None,
        initializer: Function | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        Pool.__init__(self, processes, initializer, initargs)

    @staticmethod
    def Process(ctx: Any, *args: Any, **kwds: Any) -> Any:
        """A thread in the clothes of a process."""
        from multiprocessing.dummy import Process

        return Process(*args, **kwds)

    def _new_engine(self) -> engine.Engine:
        begin = self._initializer, tuple(self._initargs)
        return engine.of_threads(self._processes, partial(self.Process, self._ctx), begin)


_LARGEST = 1 << 27
"""Items of a chunk: larger ones are cut, since claims can tell no more of a message."""

_SLICEABLE = frozenset({list, tuple, range})

INHERITED = "INHERITED"
"""State of a pool's copy in a forked child."""

_WHY = {
    INIT: "it was never started",
    CLOSE: "it was closed",
    TERMINATE: "it was terminated",
    INHERITED: "it belongs to the process that forked this one",
}


def _listed(iterable: Iterable[Any]) -> tuple[Sequence[Any], Exception | None]:
    """What `map` cuts into chunks.

    As in the stdlib, the error of an input that has a length comes out of `get`, that of another at
    once.
    """
    if type(iterable) in _SLICEABLE:
        return iterable, None  # type: ignore[return-value]
    try:
        return list(iterable), None
    except Exception as error:
        if not hasattr(iterable, "__len__") or raised_by_handler(error):
            raise
        return [], error


def _checked_size(processes: int | None) -> int:
    size = usable_cpus() if processes is None else operator.index(processes)
    if size < 1:
        raise ValueError(f"Number of processes must be at least 1, not {processes}")
    return size


def _checked_most(most: Any) -> int | None:
    if most is not None and (not isinstance(most, int) or most <= 0):
        raise ValueError(f"maxtasksperchild must be a positive int or None, not {most!r}")
    return most


def _checked_chunks(chunksize: int | None, length: int, processes: int) -> int:
    if length == 0:
        return 0
    if chunksize is None:
        return min(-(-length // (4 * processes)), _LARGEST)
    size = operator.index(chunksize)
    if size < 1:
        raise ValueError(f"Chunksize must be 1+, not {chunksize!r}")
    return min(size, _LARGEST)


# ---- in forked children --------------------------------------------------------------------

_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _disown() -> None:
    """In a forked child: the pools of the parent are not ours to use, or to end."""
    for pool in list(_pools):
        pool._state = INHERITED
        pool._engine.disown()
    _pools.clear()


_alias.mirror(__name__, _std)
