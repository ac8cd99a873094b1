"""Signal handlers that raise while results of a pool are rebuilt: the handler's error comes out, and
whoever asks again gets the result.
"""

import functools
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import pytest

from tests.pools import LONG


class OrdinaryError(Exception):
    pass


class UrgentError(BaseException):
    pass


def interrupt(kind: type[BaseException], _: int, __: FrameType | None) -> None:
    raise kind


class Handler:
    """Callable, and no function."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise self.kind


class Ringing:
    """Rebuilt with a signal to this process, where one is due."""

    due = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return ring, ()


def ring() -> Ringing:
    if Ringing.due:
        Ringing.due -= 1
        signal.raise_signal(signal.SIGUSR1)
    return Ringing()


class RingingError(Exception):
    def __reduce__(self) -> tuple[Any, ...]:
        return ringing_error, self.args


def ringing_error(array: Any) -> RingingError:
    ring()
    return RingingError(array)


def arrays(number: int) -> list[Any]:
    """Two that go apart from the pickle, and before, between and after them something that rings."""
    return [Ringing(), np.full(20_000, number), Ringing(), np.full(30_000, number), Ringing()]


def raise_with_array(number: int) -> None:
    raise RingingError(np.full(20_000, number))


def small(number: int) -> list[Any]:
    return [Ringing(), number]


@pytest.fixture(params=[OrdinaryError, UrgentError])
def error(request: pytest.FixtureRequest) -> Iterator[Any]:
    before = signal.signal(signal.SIGUSR1, functools.partial(interrupt, request.param))
    yield request.param
    signal.signal(signal.SIGUSR1, before)
    Ringing.due = 0


def one(pool: Any, function: Any) -> Callable[[], Any]:
    result = pool.apply_async(function, (3,))
    result.wait(LONG)
    return lambda: [result.get(LONG)]


def several(pool: Any, function: Any) -> Callable[[], Any]:
    result = pool.map_async(function, [3, 3, 3], 2)
    result.wait(LONG)
    return lambda: result.get(LONG)


def streamed(pool: Any, function: Any) -> Callable[[], Any]:
    results, found = pool.imap(function, [3, 3, 3]), []

    def take() -> Any:
        found.extend(results)
        return found

    return take


def unordered(pool: Any, function: Any) -> Callable[[], Any]:
    results, found = pool.imap_unordered(function, [3, 3, 3]), []

    def take() -> Any:
        found.extend(results)
        return found

    return take


WAYS = [one, several, streamed, unordered]


@pytest.mark.parametrize("function", [arrays, small])
@pytest.mark.parametrize("way", WAYS)
def test_what_a_handler_raises_comes_out_and_the_result_stays(
    ctx: Any, error: Any, way: Any, function: Any
) -> None:
    with ctx.Pool(1) as pool:
        ask = way(pool, function)
        for _ in range(2):
            Ringing.due = 1
            with pytest.raises(error):
                ask()
        found = ask()
    pool.join()
    for values in found:
        assert [type(value) for value in values] == [type(value) for value in function(3)]
        for value in values:
            assert type(value) is Ringing or (np.asarray(value) == 3).all()


@pytest.mark.parametrize("way", [one, streamed])
def test_the_same_for_errors_of_tasks(ctx: Any, error: Any, way: Any) -> None:
    with ctx.Pool(1) as pool:
        ask = way(pool, raise_with_array)
        Ringing.due = 1
        with pytest.raises(error):
            ask()
        with pytest.raises(RingingError) as caught:
            ask()
    pool.join()
    assert (caught.value.args[0] == 3).all()


def test_a_handler_may_be_any_callable() -> None:
    from procession._flow.outcome import open_packed, pack

    kind, payload = pack([Ringing()], {}, [])
    before = signal.signal(signal.SIGUSR1, Handler(OrdinaryError))
    try:
        Ringing.due = 1
        with pytest.raises(OrdinaryError):
            open_packed(kind, payload, 1)
    finally:
        signal.signal(signal.SIGUSR1, before)
        Ringing.due = 0
    values, errors = open_packed(kind, payload, 1)
    assert type(values[0]) is Ringing
    assert errors == {}
