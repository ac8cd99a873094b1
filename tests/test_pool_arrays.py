"""Arrays as results of pools: whose memory they keep, and for how long."""

import gc
import os
import signal
from functools import partial
from typing import Any

import numpy as np
import pytest

from procession import _family
from procession.errors import WorkerLostError
from tests.arrays import LARGE, all_comes_home, assert_same, floats
from tests.kit import eventually
from tests.pools import LONG, identity


def array(number: int) -> Any:
    return np.full(100_000, number)


@pytest.mark.parametrize("count", [2, 40])
def test_a_result_that_nobody_asks_for_keeps_its_own_array_only(
    ctx: Any, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is received while there is something to be sent.
    monkeypatch.setattr("procession._flow.scheduler.GLANCE", 1000)
    with ctx.Pool(1) as pool:
        pool.apply(array, (0,))
        gc.collect()
        before = _family.heap_stats()["objects"]
        results = [pool.apply_async(array, (number,)) for number in range(count)]
        # All of them lie there when the first one is received.
        assert eventually(lambda: pool._engine.scheduler._channel.backlog() == count)
        kept = results.pop()
        assert [int(result.get(LONG)[0]) for result in results] == list(range(count - 1))
        results.clear()
        gc.collect()
        # Itself, and what shared objects the pool may have besides.
        assert _family.heap_stats()["objects"] <= before + 1
        assert kept.get(LONG)[5] == count - 1
    pool.join()


def beside_text(number: int) -> Any:
    return array(number), "a" * 20_000


def now_and_then(number: int) -> Any:
    return array(number) if number % 10 == 9 else str(number) * 20_000


def test_arrays_and_what_is_as_long_without_any_come_in_one_message_or_together(ctx: Any) -> None:
    with ctx.Pool(2) as pool:
        rows, text = pool.apply(beside_text, (7,))
        assert rows[5] == 7
        assert len(text) == 20_000
        results = [pool.apply_async(now_and_then, (number,)) for number in range(40)]
        for number, result in enumerate(results):
            found = result.get(LONG)
            assert found[5] == number if number % 10 == 9 else found == str(number) * 20_000
    pool.join()


# ---- a received array that goes back ---------------------------------------------------------


def where(rows: Any) -> int:
    return int(rows.__array_interface__["data"][0])


def add_one(rows: Any) -> Any:
    rows += 1
    return rows


def tell(rows: Any) -> Any:
    return rows, where(rows)


def test_what_nobody_else_has_goes_back_without_a_copy() -> None:
    import procession

    with all_comes_home(), procession.get_context("fork").Pool(1) as pool:
        for rows, place in (pool.apply(tell, (floats(),)), *pool.map(tell, [floats()] * 3, 1)):
            # The heap is inherited, so it lies at one address.
            assert where(rows) == place
        del rows
    pool.join()


def test_what_goes_back_is_what_the_worker_saw(ctx: Any) -> None:
    sent = floats()
    with all_comes_home(), ctx.Pool(2) as pool:
        for _ in range(3):
            assert_same(pool.apply(add_one, (sent,)), sent + 1)
            found = pool.map(add_one, [sent + number for number in range(20)], 1)
            for number, rows in enumerate(found):
                np.add(rows, 1, out=rows)
                assert_same(rows, sent + number + 2)
            # On and back again, and in the midst of others.
            again = pool.starmap(describe, [(rows, {"a": rows}) for rows in found])
            for number, (one, other) in enumerate(again):
                assert_same(one, sent + number + 2)
                assert_same(other, {"a": one})
            del found, again, rows, one, other
    pool.join()
    assert_same(sent, floats())


def describe(*args: Any) -> Any:
    return args


kept: list[Any] = []


def keep(rows: Any) -> Any:
    kept.append(rows)
    rows[0] = 1
    return rows


def keep_a_view(rows: Any) -> Any:
    kept.append(memoryview(rows)[3:5])
    rows[0] = 1
    return rows


def keep_in_a_circle(rows: Any) -> Any:
    circle: list[Any] = [rows]
    circle.append(circle)
    rows[0] = 1
    return rows


def still(_: int) -> list[float]:
    found = [float(part[0]) for part in kept]
    for part in kept:
        part[0] = 50
    kept.clear()
    return found


@pytest.mark.parametrize(("work", "first"), [(keep, 1.0), (keep_a_view, 3.0), (keep_in_a_circle, None)])
def test_what_a_worker_keeps_is_its_own(ctx: Any, work: Any, first: float | None) -> None:
    with all_comes_home(), ctx.Pool(1) as pool:
        got = pool.apply(work, (floats(),))
        got[1:] = 100
        assert pool.map(still, [0], 1) == ([[first]] if first else [[]])
        assert (got[0], got[3]) == (1, 100)
        del got
    pool.join()


def two_of_it(rows: Any) -> Any:
    return rows, rows.view(), rows[: rows.size // 2], rows.reshape(2, -1), rows[::-1].copy(), rows


def test_several_views_of_one_are_arrays_of_their_own(ctx: Any) -> None:
    with all_comes_home(), ctx.Pool(1) as pool:
        found = pool.apply(two_of_it, (floats(),))
        assert_same(found, two_of_it(floats()))
        found[0][:] = -1
        assert_same(found[1:5], two_of_it(floats())[1:5])
        assert found[5] is found[0]
        del found
    pool.join()


def after_a_fork(rows: Any) -> Any:
    child = os.fork()
    if child == 0:
        rows[1] = 7
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    _family.forked(child)
    _family.bury(child)
    rows[0] = 1
    return rows


def test_what_a_fork_has_made_private_goes_back_as_a_copy(ctx: Any) -> None:
    with all_comes_home(), ctx.Pool(1) as pool:
        got = pool.apply(after_a_fork, (floats(),))
        assert (got[0], got[1], got.sum()) == (1, 1, floats().sum() + 1)
        del got
    pool.join()


def readonly(rows: Any) -> Any:
    rows.flags.writeable = False
    return rows


def test_what_goes_back_may_be_read_only(ctx: Any) -> None:
    with ctx.Pool(1) as pool:
        assert_same(pool.apply(readonly, (floats(),)), readonly(floats()))
        assert_same(pool.apply(identity, (readonly(floats()),)), readonly(floats()))
    pool.join()


def die_on_three(rows: Any) -> Any:
    if rows[0] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    rows[0] += 10
    return rows


def test_a_worker_killed_with_it_in_hand_costs_that_task_alone(ctx: Any) -> None:
    with all_comes_home(), ctx.Pool(2) as pool:
        results = [pool.apply_async(die_on_three, (floats() + number,)) for number in range(6)]
        for number, result in enumerate(results):
            if number == 3:
                with pytest.raises(WorkerLostError):
                    result.get(LONG)
            else:
                assert result.get(LONG)[0] == number + 10
        del results, result
    pool.join()


# ---- a function that carries some ------------------------------------------------------------


def use(rows: Any, number: int) -> Any:
    before = float(rows[0])
    rows[0] = -1 - number
    return os.getpid(), before, float(rows[0]), rows[-1], rows.flags.writeable


def test_what_a_function_carries_is_each_workers_own(ctx: Any) -> None:
    rows = floats()
    with all_comes_home(), ctx.Pool(2) as pool:
        for count in range(6):
            seen: dict[int, float] = {}
            for number, (pid, *told) in enumerate(pool.map(partial(use, rows), range(40), 1)):
                # What earlier tasks of the same map wrote in that worker, and no other.
                assert told == [seen.get(pid, 0), -1 - number, len(rows) - 1, True], count
                seen[pid] = -1 - number
        assert pool.apply(partial(use, rows), (5,))[1:] == (0, -6, len(rows) - 1, True)
    pool.join()
    assert rows[0] == 0


def use_in_a_child(rows: Any, number: int) -> Any:
    rows[1] = number
    child = os.fork()
    if child == 0:
        rows[1] = -1
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    _family.forked(child)
    _family.bury(child)
    return rows[1], rows[2]


def test_what_a_function_carries_is_not_shared_by_a_fork(ctx: Any) -> None:
    with all_comes_home(), ctx.Pool(2) as pool:
        found = pool.map(partial(use_in_a_child, floats()), range(6), 1)
        assert found == [(number, 2) for number in range(6)]
    pool.join()


def die_early(rows: Any, number: int) -> Any:
    rows[0] += 1
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return float(rows[1])


def test_a_killed_worker_costs_the_others_nothing_of_what_they_carry(ctx: Any) -> None:
    with all_comes_home(), ctx.Pool(2) as pool:
        results = [pool.imap(partial(die_early, floats()), range(20)) for _ in range(2)]
        for result in results:
            outcomes = []
            for _ in range(20):
                try:
                    outcomes.append(result.next(LONG))
                except WorkerLostError:
                    outcomes.append(None)
            assert outcomes == [None if number == 3 else 1.0 for number in range(20)]
        del results, result
    pool.join()


def give_back_what_is_carried(rows: Any, _: int) -> Any:
    rows[0] += 1
    return rows


def test_what_a_function_carries_can_be_a_result(ctx: Any) -> None:
    with all_comes_home(), ctx.Pool(1) as pool:
        found = pool.map(partial(give_back_what_is_carried, floats()), range(3), 1)
        assert [rows[0] for rows in found] == [1, 2, 3]
        assert all(rows[1:].sum() == floats().sum() for rows in found)
        del found
    pool.join()


def test_arrays_too_small_to_go_apart_are_carried_too(ctx: Any) -> None:
    with ctx.Pool(1) as pool:
        assert pool.map(partial(np.add, floats(10)), [1, 2], 1)[1][9] == 11
        assert pool.map(partial(np.add, floats(LARGE // 32)), [1, 2], 1)[1][9] == 11
    pool.join()
