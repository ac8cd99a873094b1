"""One face for every library's pool of two workers, forked where the library lets one choose.

A class offers only what its library has; a case asks only those that offer its verb.
"""

import multiprocessing
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

WORKERS = 2
Function = Callable[[Any], Any]


class Classic:
    """Whatever has `multiprocessing.Pool`'s methods."""

    package = "multiprocessing"

    def __init__(self, workers: int = WORKERS, method: str = "fork") -> None:
        self.pool = import_module(self.package).get_context(method).Pool(workers)

    def apply(self, function: Function, item: Any) -> Any:
        return self.pool.apply(function, (item,))

    def map(self, function: Function, items: Iterable[Any], chunk: int | None) -> Iterable[Any]:
        found: Iterable[Any] = self.pool.map(function, items, chunk)
        return found

    def imap(self, function: Function, items: Iterable[Any]) -> Iterable[Any]:
        found: Iterable[Any] = self.pool.imap(function, items)
        return found

    def imap_unordered(self, function: Function, items: Iterable[Any]) -> Iterable[Any]:
        found: Iterable[Any] = self.pool.imap_unordered(function, items)
        return found

    def each(self, function: Function, items: Iterable[Any]) -> list[Any]:
        return [result.get() for result in [self.pool.apply_async(function, (item,)) for item in items]]

    def end(self) -> None:
        self.pool.close()
        self.pool.join()


class Procession(Classic):
    package = "procession"


class Billiard(Classic):
    package = "billiard"

    def __init__(self, workers: int = WORKERS, method: str = "fork") -> None:
        # Without threads=True its pool collects nothing by itself.
        self.pool = import_module("billiard").get_context(method).Pool(workers)


class Futures:
    """`concurrent.futures`, and who took its interface over."""

    package = "concurrent.futures"

    def __init__(self, workers: int = WORKERS, method: str = "fork") -> None:
        from concurrent.futures import ProcessPoolExecutor

        self.pool: Any = ProcessPoolExecutor(workers, multiprocessing.get_context(method))

    def apply(self, function: Function, item: Any) -> Any:
        return self.pool.submit(function, item).result()

    def map(self, function: Function, items: Iterable[Any], chunk: int | None) -> Iterable[Any]:
        return list(self.pool.map(function, items, chunksize=chunk or 1))

    def imap(self, function: Function, items: Iterable[Any]) -> Iterable[Any]:
        found: Iterable[Any] = self.pool.map(function, items)
        return found

    def each(self, function: Function, items: Iterable[Any]) -> list[Any]:
        return [future.result() for future in [self.pool.submit(function, item) for item in items]]

    def end(self) -> None:
        self.pool.shutdown()


class Loky(Futures):
    package = "loky"

    def __init__(self, workers: int = WORKERS, method: str = "loky") -> None:
        self.pool = import_module("loky").get_reusable_executor(max_workers=workers)


class Joblib:
    """Batches by itself; the second call finds the workers there."""

    package = "joblib"

    def __init__(self, workers: int = WORKERS) -> None:
        self.joblib = import_module("joblib")
        self.workers = workers

    def _run(self, function: Function, items: Iterable[Any], way: str) -> Any:
        delayed = self.joblib.delayed(function)
        return self.joblib.Parallel(self.workers, return_as=way)(delayed(item) for item in items)

    def map(self, function: Function, items: Iterable[Any], chunk: int | None) -> Iterable[Any]:
        found: Iterable[Any] = self._run(function, items, "list")
        return found

    def imap(self, function: Function, items: Iterable[Any]) -> Iterable[Any]:
        found: Iterable[Any] = self._run(function, items, "generator")
        return found

    def imap_unordered(self, function: Function, items: Iterable[Any]) -> Iterable[Any]:
        found: Iterable[Any] = self._run(function, items, "generator_unordered")
        return found

    def end(self) -> None:
        import_module("joblib.externals.loky").get_reusable_executor().shutdown()


class Mpire:
    package = "mpire"

    def __init__(self, workers: int = WORKERS, method: str = "fork") -> None:
        self.pool = import_module("mpire").WorkerPool(workers, start_method=method, keep_alive=True)
        # Lists are wanted: several arrays would be given back as one.
        self.whole = {"concatenate_numpy_output": False}

    def apply(self, function: Function, item: Any) -> Any:
        return self.pool.apply(function, (item,))

    def map(self, function: Function, items: Iterable[Any], chunk: int | None) -> Iterable[Any]:
        # Arrays would be cut up, tuples unpacked: what it calls a task is a tuple of arguments.
        found: Iterable[Any] = self.pool.map(
            function, [(item,) for item in items], chunk_size=chunk, **self.whole
        )
        return found

    def imap(self, function: Function, items: Iterable[Any]) -> Iterable[Any]:
        found: Iterable[Any] = self.pool.imap(function, [(item,) for item in items])
        return found

    def imap_unordered(self, function: Function, items: Iterable[Any]) -> Iterable[Any]:
        found: Iterable[Any] = self.pool.imap_unordered(function, [(item,) for item in items])
        return found

    def each(self, function: Function, items: Iterable[Any]) -> list[Any]:
        return [result.get() for result in [self.pool.apply_async(function, (item,)) for item in items]]

    def end(self) -> None:
        self.pool.stop_and_join()


class Pebble:
    package = "pebble"

    def __init__(self, workers: int = WORKERS, method: str = "fork") -> None:
        context = multiprocessing.get_context(method)
        self.pool = import_module("pebble").ProcessPool(workers, context=context)

    def apply(self, function: Function, item: Any) -> Any:
        return self.pool.schedule(function, args=[item]).result()

    def map(self, function: Function, items: Iterable[Any], chunk: int | None) -> Iterable[Any]:
        return list(self.pool.map(function, items, chunksize=chunk or 1).result())

    def each(self, function: Function, items: Iterable[Any]) -> list[Any]:
        return [future.result() for future in [self.pool.schedule(function, args=[item]) for item in items]]

    def end(self) -> None:
        self.pool.close()
        self.pool.join()


class Ray(Classic):
    """Only where it is installed; its workers are started by its own server."""

    package = "ray"

    def __init__(self, workers: int = WORKERS) -> None:
        self.pool = import_module("ray.util.multiprocessing").Pool(workers)


POOLS: list[type[Any]] = [Procession, Classic, Futures, Billiard, Loky, Joblib, Mpire, Pebble, Ray]


def offering(verb: str) -> dict[str, type[Any]]:
    """Those that have it, by the package's name."""
    return {pool.package: pool for pool in POOLS if hasattr(pool, verb)}
