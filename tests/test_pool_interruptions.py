"""Signal handlers that raise while results of a pool are rebuilt, or its arguments pickled: the handler's
error comes out.  Whoever asks again gets the result; what was not submitted is not run.
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


# ---- on the way out --------------------------------------------------------------------------


class Calling:
    """Pickled with a signal to this process."""

    def __reduce__(self) -> tuple[Any, ...]:
        signal.raise_signal(signal.SIGUSR1)
        return int, (5,)


SUBMISSIONS: dict[str, Callable[[Any], Any]] = {
    "apply": lambda pool: pool.apply(abs, (Calling(),)),
    "apply_async": lambda pool: pool.apply_async(abs, (), {"x": Calling()}),
    "callback": lambda pool: pool.apply_async(abs, (Calling(),), callback=print, error_callback=print),
    "function": lambda pool: pool.apply_async(Calling().__reduce__),
    "map in one message": lambda pool: pool.map_async(abs, [1, Calling(), 3], 3),
    "map in several": lambda pool: pool.map(abs, [1, Calling(), 3], 1),
    "starmap": lambda pool: pool.starmap(pow, [(1, 2), (Calling(), 2)]),
    "imap": lambda pool: next(pool.imap(abs, [Calling()])),
    "imap_unordered": lambda pool: next(pool.imap_unordered(abs, [1, Calling(), 3], 3)),
}


@pytest.mark.parametrize("submit", SUBMISSIONS.values(), ids=SUBMISSIONS)
def test_what_a_handler_raises_while_arguments_are_pickled_breaks_off_the_submission(
    ctx: Any, error: Any, submit: Any
) -> None:
    with ctx.Pool(1) as pool:
        with pytest.raises(error):
            submit(pool)
        assert pool.map(abs, [-1, -2]) == [1, 2]
        assert not pool._cache
        pool.close()
        pool.join()
