"""What the tests of pools run in workers, and the fixture-like makers of pools of every kind."""

import faulthandler
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Iterator
from typing import Any, cast

KINDS = ["fork", "spawn", "forkserver", "threads"]
LONG = 30.0
"""A bound against hanging, in seconds."""


def make_pool(kind: str, *args: Any, **options: Any) -> Any:
    """A pool of processes started by `kind`, or of threads."""
    import procession
    from procession.pool import ThreadPool

    if kind == "threads":
        return ThreadPool(*args, **options)
    return procession.get_context(kind).Pool(*args, **options)


def square(x: Any) -> Any:
    return x * x


def add(x: Any, y: Any = 0) -> Any:
    return x + y


def describe(*args: Any, **options: Any) -> Any:
    return args, options


def identity(x: Any) -> Any:
    return x


def raise_it(error: BaseException) -> None:
    raise error


def fail_on_three(x: int) -> int:
    if x % 10 == 3:
        raise ValueError(f"deliberate {x}")
    return x


def pid(_: Any = None) -> int:
    return os.getpid()


def wait_for(path: str, seconds: float = LONG) -> str:
    """Until the file is there: an event for every kind of worker."""
    end = time.monotonic() + seconds
    while not os.path.exists(path):
        if time.monotonic() > end:
            raise TimeoutError(path)
        time.sleep(0.005)
    return path


def touch_and_sleep(path: str, seconds: float = LONG) -> str:
    with open(path, "a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    return path


def touch_and_wait(path: str, gate: str) -> str:
    with open(path, "a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    return wait_for(gate)


def touch(path: str) -> int:
    with open(path, "a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    return os.getpid()


def die(how: Any) -> None:
    """End this process: by a signal, an exit code, or by abort."""
    if how == "abort":
        faulthandler.disable()
        os.abort()
    if isinstance(how, signal.Signals):
        os.kill(os.getpid(), how)
        time.sleep(LONG)
    os._exit(how)


def die_on_seven(x: int) -> int:
    if x == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return x * x


class UnbuildableError(Exception):
    """Pickled by its args, which its __init__ does not take."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("not for travelling")

    def __repr__(self) -> str:
        return "<the unpicklable>"


class BreaksWhenLoaded:
    def __reduce__(self) -> Any:
        return int, ("no number",)


class UnpicklableError(Exception):
    def __reduce__(self) -> Any:
        raise RuntimeError("not for travelling")


def give_unpicklable(_: Any = None) -> Any:
    return Unpicklable()


def give_unbuildable_on_three(x: int) -> Any:
    return BreaksWhenLoaded() if x == 3 else x


def raise_unbuildable(_: Any = None) -> None:
    raise UnbuildableError(1, 2)


def raise_unpicklable(_: Any = None) -> None:
    raise UnpicklableError("its text")


def raise_chained(_: Any = None) -> None:
    try:
        raise KeyError("the cause")
    except KeyError as error:
        raise ValueError("the effect") from error


def raise_group(_: Any = None) -> None:
    try:
        raise_chained()
    except ValueError as error:
        error.add_note("of its first")
        group = ExceptionGroup("many", [error, ExceptionGroup("nested", [OSError("deep")])])
    group.add_note("of the group")
    raise group


def foreign() -> type[Exception]:
    """A class of a module that there is in this process alone."""
    if "only_there" not in sys.modules:
        module = sys.modules["only_there"] = types.ModuleType("only_there")
        exec("class ForeignError(Exception): pass", vars(module))
    return cast("type[Exception]", sys.modules["only_there"].ForeignError)


def give_foreign(_: Any = None) -> Exception:
    return foreign()()


def raise_foreign(_: Any = None) -> None:
    raise foreign()("its text")


def set_global(value: Any) -> None:
    global shared
    shared = value


shared: Any = None


def get_global(_: Any = None) -> Any:
    return shared


def fail_to_start(text: str = "deliberate") -> None:
    raise LookupError(text)


def blocked_generator(count: int, gate: threading.Event) -> Iterator[int]:
    yield from range(count)
    gate.wait(LONG)


class Counting:
    """A callable with a state, which a worker builds once a job."""

    def __init__(self, ballast: bytes = b"") -> None:
        self.ballast = ballast
        self.calls = 0

    def __call__(self, x: Any) -> tuple[int, int, int]:
        self.calls += 1
        return os.getpid(), self.calls, len(self.ballast)

    def method(self, x: Any) -> Any:
        return x + len(self.ballast)


def put_in(queue: Any, item: Any) -> None:
    queue.put(item)


def make_lock(_: Any = None) -> Any:
    import procession

    return procession.get_context("fork").Lock()


def take_lock(lock: Any) -> bool:
    with lock:
        return True


def ignore_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
