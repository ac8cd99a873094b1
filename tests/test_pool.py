"""What every kind of pool does with every kind of call; no faults here, see the files beside."""

import multiprocessing
import multiprocessing.pool
import operator
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from procession import pool as pools
from tests.kit import eventually
from tests.pools import (
    KINDS,
    LONG,
    Counting,
    add,
    describe,
    fail_on_three,
    identity,
    make_pool,
    raise_it,
    square,
    touch,
    wait_for,
)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def pool(kind: str) -> Iterator[Any]:
    """One pool for all tests that leave it as it was."""
    with make_pool(kind, 3) as pool:
        yield pool
    pool.join()


# ---- apply ---------------------------------------------------------------------------------


def test_apply(pool: Any) -> None:
    assert pool.apply(square, (5,)) == 25
    assert pool.apply(add, (1,), {"y": 2}) == 3
    assert pool.apply(describe) == ((), {})
    assert pool.apply(describe, [1, 2], {"a": None}) == ((1, 2), {"a": None})


def test_apply_async(pool: Any) -> None:
    results = [pool.apply_async(add, (i, i)) for i in range(500)]
    assert [result.get() for result in results] == [2 * i for i in range(500)]
    assert all(result.ready() and result.successful() for result in results)


def test_a_result_can_be_had_again_and_is_the_same_object(pool: Any) -> None:
    result = pool.apply_async(identity, ([1, 2],))
    first = result.get(LONG)
    assert first == [1, 2]
    assert result.get() is first


def test_an_error_can_be_had_again(pool: Any) -> None:
    result = pool.apply_async(raise_it, (KeyError("deliberate"),))
    for _ in range(2):
        with pytest.raises(KeyError, match="deliberate"):
            result.get(LONG)
    assert result.ready()
    assert not result.successful()


def test_not_yet(pool: Any, tmp_path: Any) -> None:
    gate = str(tmp_path / "gate")
    result = pool.apply_async(wait_for, (gate,))
    assert not result.ready()
    with pytest.raises(ValueError, match="not ready"):
        result.successful()
    result.wait(0.01)
    with pytest.raises(multiprocessing.TimeoutError):
        result.get(timeout=0.01)
    with pytest.raises(multiprocessing.TimeoutError):
        result.get(0)
    touch(gate)
    assert result.get(LONG) == gate


def test_ready_comes_true_without_waiting(pool: Any) -> None:
    result = pool.apply_async(square, (3,))
    assert eventually(result.ready)
    assert result.get(0) == 9


# ---- map -----------------------------------------------------------------------------------


@pytest.mark.parametrize("chunksize", [None, 1, 3, 100, 10_000, sys.maxsize])
@pytest.mark.parametrize("length", [0, 1, 2, 100])
def test_map(pool: Any, length: int, chunksize: int | None) -> None:
    expected = [i * i for i in range(length)]
    assert pool.map(square, range(length), chunksize) == expected
    assert pool.map(square, list(range(length)), chunksize=chunksize) == expected
    assert pool.map(square, (i for i in range(length)), chunksize) == expected
    assert pool.starmap(add, [(i * i, 0) for i in range(length)], chunksize) == expected
    assert list(pool.imap(square, range(length), chunksize or 1)) == expected
    assert sorted(pool.imap_unordered(square, iter(range(length)), chunksize or 1)) == expected


def test_any_iterable_is_mapped(pool: Any) -> None:
    assert sorted(pool.map(str.upper, {"a": 1, "b": 2})) == ["A", "B"]
    assert pool.map(str.upper, "abc") == ["A", "B", "C"]
    assert pool.map(identity, {1, 2}) == [1, 2]
    assert pool.starmap(operator.add, zip([1, 2], [3, 4], strict=True)) == [4, 6]


def test_map_async(pool: Any) -> None:
    result = pool.map_async(square, range(100), 7)
    result.wait(LONG)
    assert result.ready()
    assert result.successful()
    assert result.get() == [i * i for i in range(100)]
    assert pool.starmap_async(add, [(1, 2)]).get(LONG) == [3]


def test_the_first_error_in_order_is_raised_and_all_others_are_run(pool: Any, tmp_path: Any) -> None:
    with pytest.raises(ValueError, match=r"deliberate 3$"):
        pool.map(fail_on_three, range(40), 1)
    with pytest.raises(ValueError, match=r"deliberate 3$"):
        pool.map(fail_on_three, range(40))
    paths = [str(tmp_path / str(i)) for i in range(10)]
    calls = [(raise_it, (ValueError("first"),)), *((touch, (path,)) for path in paths)]
    with pytest.raises(ValueError, match="first"):
        pool.starmap(call, calls, 4)
    assert all(os.path.exists(path) for path in paths)


def call(function: Any, args: Any) -> Any:
    return function(*args)


def test_twenty_thousand_tasks(pool: Any) -> None:
    assert pool.map(square, range(20_000), 1) == [i * i for i in range(20_000)]


def test_two_threads_use_a_pool(pool: Any) -> None:
    outcomes: list[Any] = []

    def use(base: int) -> None:
        for i in range(50):
            outcomes.append(pool.apply(add, (base, i)) - base - i)
            outcomes.append(sum(pool.map(add, range(5))) - 10)

    threads = [threading.Thread(target=use, args=(1000 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert outcomes == [0] * 400


# ---- imap ----------------------------------------------------------------------------------


def test_imap_is_an_iterator(pool: Any) -> None:
    results = pool.imap(square, range(3))
    assert iter(results) is results
    assert results.next() == 0
    assert results.next(timeout=LONG) == 1
    assert next(results) == 4
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(results)


def test_imap_goes_on_after_errors(pool: Any) -> None:
    results = pool.imap(fail_on_three, range(6), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="deliberate"):
        next(results)
    assert list(results) == [4, 5]


def test_imap_times_out_and_goes_on(pool: Any, tmp_path: Any) -> None:
    gate = str(tmp_path / "gate")
    for results in (pool.imap(wait_for, [gate]), pool.imap_unordered(wait_for, iter([gate]))):
        with pytest.raises(multiprocessing.TimeoutError):
            results.next(0.01)
    touch(gate)
    assert results.next(LONG) == gate


def test_chunks_are_counted_in_whole_numbers(pool: Any) -> None:
    for method in (pool.map, pool.imap):
        with pytest.raises(TypeError):
            method(square, [1], 1.5)


@pytest.mark.parametrize("chunksize", [2**28, 2**33, sys.maxsize, 2**70])
def test_chunks_of_more_items_than_there_are(pool: Any, chunksize: int) -> None:
    expected = [square(i) for i in range(10)]
    assert pool.map(square, range(10), chunksize) == expected
    assert pool.starmap(add, [(i, i * i - i) for i in range(10)], chunksize) == expected
    assert list(pool.imap(square, range(10), chunksize)) == expected
    assert sorted(pool.imap_unordered(square, range(10), chunksize)) == expected


@pytest.mark.parametrize("chunksize", [0, -1])
def test_chunks_have_at_least_one_item(pool: Any, chunksize: int) -> None:
    for method in (pool.map, pool.map_async, pool.imap, pool.imap_unordered):
        with pytest.raises(ValueError, match=f"Chunksize must be 1\\+, not {chunksize}"):
            method(square, [1], chunksize)


class Reader:
    """Counts how far it was read."""

    def __init__(self, length: int, fail_at: int | None = None) -> None:
        self.read = 0
        self.length = length
        self.fail_at = fail_at

    def __iter__(self) -> Iterator[int]:
        for i in range(self.length):
            if i == self.fail_at:
                raise LookupError("the input")
            self.read += 1
            yield i


class Sized(Reader):
    def __len__(self) -> int:
        return self.length


def test_imap_of_a_list_sends_little_ahead(pool: Any) -> None:
    results = pool.imap(identity, list(range(5000)), 2)
    for taken in range(1, 200):
        next(results)
        assert results._stream.taken + 2 * 64 >= taken + 2 * results._stream.on_the_way
    assert len(list(results)) == 5000 - 199


@pytest.mark.parametrize("reader", [Reader, Sized])
def test_imap_reads_little_ahead(pool: Any, reader: Any) -> None:
    source = reader(5000)
    results = pool.imap_unordered(identity, source, 2)
    for taken in range(1, 1000):
        next(results)
        assert source.read <= taken + 2 * 64
    assert len(list(results)) == 5000 - 999


@pytest.mark.parametrize("reader", [Reader, Sized])
@pytest.mark.parametrize(("chunksize", "before"), [(1, 7), (2, 6), (4, 4)])
def test_an_error_of_the_input_comes_after_the_results_before_it(
    pool: Any, reader: Any, chunksize: int, before: int
) -> None:
    results = pool.imap(square, reader(20, fail_at=7), chunksize)
    assert [next(results) for _ in range(before)] == [i * i for i in range(before)]
    with pytest.raises(LookupError, match="the input") as caught:
        next(results)
    assert caught.value.__cause__ is None
    assert list(results) == []


def test_an_error_of_the_input_of_map(pool: Any) -> None:
    with pytest.raises(LookupError):
        pool.map_async(square, Reader(5, fail_at=2))
    result = pool.map_async(square, Sized(5, fail_at=2))
    with pytest.raises(LookupError):
        result.get(LONG)


def test_what_cannot_be_iterated(pool: Any) -> None:
    with pytest.raises(TypeError):
        pool.map(square, 5)
    with pytest.raises(TypeError):
        next(pool.imap(square, 5))


# ---- functions and arguments ---------------------------------------------------------------


def test_functions_without_a_name(pool: Any) -> None:
    offset = 3

    def local(x: int) -> int:
        return x + offset

    assert pool.map(lambda x: x * 2, [1, 2]) == [2, 4]
    assert pool.map(local, range(3), 1) == [3, 4, 5]
    assert pool.apply(local, (1,)) == 4
    assert list(pool.imap(Counting(b"12").method, [1, 2])) == [3, 4]
    assert pool.map("-".join, [["a", "b"]]) == ["a-b"]
    assert pool.starmap(max, [(1, 2), (4, 3)]) == [2, 4]


def test_large_functions_and_arguments_and_results(pool: Any) -> None:
    ballast = os.urandom(3_000_000)
    sizes = {size for _, _, size in pool.map(Counting(ballast), range(20), 1)}
    assert sizes == {len(ballast)}
    assert pool.map(identity, [ballast] * 5, 1) == [ballast] * 5


def test_a_function_of_one_call_is_built_for_it(pool: Any) -> None:
    if isinstance(pool, pools.ThreadPool):
        pytest.skip("threads share the object itself")
    counting = Counting()
    assert {pool.apply(counting, (0,))[1] for _ in range(10)} == {1}
    results = pool.map(counting, range(20), 1)
    for worker in {who for who, _, _ in results}:
        calls = [number for who, number, _ in results if who == worker]
        assert calls == list(range(1, len(calls) + 1))
