"""Pools whose messages do not travel: unpicklable, unbuildable, or raised where nobody expects it."""

import threading
from multiprocessing.pool import MaybeEncodingError, RemoteTraceback
from typing import Any

import pytest

from procession import pool as pools
from procession.errors import TransferError
from tests.pools import (
    LONG,
    BreaksWhenLoaded,
    Unpicklable,
    give_foreign,
    give_unbuildable_on_three,
    give_unpicklable,
    identity,
    make_pool,
    pid,
    raise_chained,
    raise_foreign,
    raise_group,
    raise_it,
    raise_unbuildable,
    raise_unpicklable,
)


@pytest.mark.parametrize("kind", ["fork", "spawn", "forkserver"])
class TestMessages:
    """One pool, which has to outlive everything."""

    @pytest.fixture
    def pool(self, kind: str) -> Any:
        pool = make_pool(kind, 1)
        worker = pool.apply(pid)
        yield pool
        assert pool.apply(pid) == worker, "the worker was lost"
        pool.terminate()
        pool.join()

    def test_arguments(self, pool: Any) -> None:
        with pytest.raises(TransferError, match=r"args\[0\]\['a'\]") as caught:
            pool.apply(identity, ({"a": threading.Lock()},))
        assert caught.value.path == "args[0]['a']"
        with pytest.raises(RuntimeError, match="not for travelling"):
            pool.map(identity, [1, 2, Unpicklable(), 4], 2)
        result = pool.apply_async(identity, (), {"x": threading.Lock()})
        with pytest.raises(TransferError, match=r"kwds\['x'\]"):
            result.get(LONG)
        results = pool.imap(identity, [1, 2, Unpicklable(), 4], 2)
        assert [next(results), next(results)] == [1, 2]
        with pytest.raises(RuntimeError, match="not for travelling"):
            next(results)
        assert list(results) == [4]

    def test_functions(self, pool: Any) -> None:
        for call in (
            lambda: pool.map(Unpicklable().__repr__, [1]),
            lambda: pool.apply(Unpicklable().__repr__),
            lambda: next(pool.imap(Unpicklable().__repr__, [1])),
        ):
            with pytest.raises(RuntimeError, match="not for travelling"):
                call()

    def test_arguments_that_cannot_be_rebuilt(self, pool: Any) -> None:
        with pytest.raises(ValueError, match="no number") as caught:
            pool.apply(identity, (BreaksWhenLoaded(),))
        assert isinstance(caught.value.__cause__, RemoteTraceback)
        results = pool.imap(identity, [1, BreaksWhenLoaded(), 3], 3)
        assert next(results) == 1
        with pytest.raises(ValueError, match="no number"):
            next(results)
        assert next(results) == 3

    def test_results(self, pool: Any) -> None:
        with pytest.raises(MaybeEncodingError) as caught:
            pool.apply(give_unpicklable)
        assert "the unpicklable" in caught.value.value
        assert "not for travelling" in caught.value.exc
        assert "__reduce__" in str(caught.value.__cause__)

    def test_results_that_raise_what_is_no_exception(self, pool: Any) -> None:
        results = pool.imap(give_one_that_exits, range(4))
        assert next(results) == 0
        with pytest.raises(TransferError, match="SystemExit: rebuilt"):
            next(results)
        assert list(results) == [2, 3]

    def test_results_that_cannot_be_rebuilt(self, pool: Any) -> None:
        results = pool.imap(give_unbuildable_on_three, range(6), 6)
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(TransferError, match=r"cannot be rebuilt.*no number") as caught:
            next(results)
        assert isinstance(caught.value.__cause__, ValueError)
        assert list(results) == [4, 5]

    @pytest.mark.parametrize("function", [raise_unbuildable, raise_unpicklable])
    def test_errors(self, pool: Any, function: Any) -> None:
        with pytest.raises(MaybeEncodingError, match=r"UnbuildableError|UnpicklableError") as caught:
            pool.apply(function)
        assert "1 and 2" in caught.value.value or "its text" in caught.value.value
        assert f"in {function.__name__}" in str(caught.value.__cause__)
        assert "cannot travel" in str(caught.value.__cause__)

    def test_tracebacks(self, pool: Any) -> None:
        with pytest.raises(ValueError, match="the effect") as caught:
            pool.apply(raise_chained)
        cause = caught.value.__cause__
        assert type(cause) is RemoteTraceback
        assert 'raise KeyError("the cause")' in cause.tb
        assert 'raise ValueError("the effect") from error' in cause.tb
        assert "procession" not in cause.tb

    def test_notes_and_groups(self, pool: Any) -> None:
        with pytest.raises(ExceptionGroup, match="many") as caught:
            pool.apply(raise_group)
        group, text = caught.value, str(caught.value.__cause__)
        assert group.__notes__ == ["of the group"]
        assert group.exceptions[0].__notes__ == ["of its first"]
        assert isinstance(group.exceptions[1], ExceptionGroup)
        for words in (
            "in raise_group",
            'raise KeyError("the cause")',
            "ValueError: the effect",
            "of the group",
            "of its first",
            "OSError: deep",
        ):
            assert words in text

    def test_classes_that_are_missing_here(self, pool: Any) -> None:
        with pytest.raises(TransferError, match="No module named 'only_there'") as caught:
            pool.apply(give_foreign)
        assert isinstance(caught.value.__cause__, ModuleNotFoundError)
        with pytest.raises(TransferError, match="No module named 'only_there'") as caught:
            pool.apply(raise_foreign)
        text = str(caught.value.__cause__)
        assert "ForeignError: its text" in text
        assert "in raise_foreign" in text
        assert "in unpack_error" in text

    @pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration(5)])
    def test_errors_that_are_not_exceptions(self, pool: Any, error: BaseException) -> None:
        with pytest.raises(type(error)) as caught:
            pool.apply(raise_it, (error,))
        assert caught.value.args == error.args
        with pytest.raises(type(error)):
            pool.map(raise_it, [error] * 20)
        results = pool.imap(raise_it, [error])
        expected = RuntimeError if isinstance(error, StopIteration) else type(error)
        with pytest.raises(expected):
            next(results)


def test_lost_results_of_a_thread_pool_are_errors_too() -> None:
    with pools.ThreadPool(1) as pool:
        with pytest.raises(SystemExit):
            pool.apply(raise_it, (SystemExit(3),))
        assert pool.apply(give_unpicklable)
    pool.join()


class Drains:
    """Its pickling looks at the pool, which sends what is to be sent again."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def __reduce__(self) -> Any:
        len(self._pool._cache)
        return int, (5,)


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_pickling_may_use_the_pool_while_parts_are_sent(method: str) -> None:
    with make_pool(method, 2) as pool:
        # Together they cannot be sent, so each is sent alone.
        items = [Drains(pool), 1, Drains(pool), threading.Lock(), Drains(pool), 2]
        results = pool.imap(identity, items, 6)
        found: list[Any] = []
        for _ in items:
            try:
                found.append(results.next(LONG))
            except TransferError:
                found.append("refused")
    pool.join()
    assert found == [5, 1, 5, "refused", 5, 2]


class Exits:
    def __reduce__(self) -> Any:
        return leave, ("rebuilt",)


def leave(why: str) -> None:
    raise SystemExit(why)


def give_one_that_exits(x: int) -> Any:
    return Exits() if x == 1 else x
