"""Callbacks of pools: in which thread, in which order, and what they may do."""

import threading
from typing import Any

import pytest

from tests.pools import KINDS, LONG, Unpicklable, identity, make_pool, pid, raise_it, square


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_callbacks(kind: str) -> None:
    calls: list[Any] = []
    with make_pool(kind, 2) as pool:
        pool.apply_async(square, (3,), callback=calls.append, error_callback=pytest.fail).wait(LONG)
        pool.map_async(square, [1, 2], callback=calls.append, error_callback=pytest.fail).wait(LONG)
        pool.starmap_async(pow, [(2, 3)], callback=calls.append).wait(LONG)
        pool.map_async(square, [], callback=calls.append).wait(LONG)
        assert calls == [9, [1, 4], [8], []]
        calls.clear()
        error = KeyError("deliberate")
        pool.apply_async(raise_it, (error,), callback=pytest.fail, error_callback=calls.append).wait(LONG)
        pool.map_async(raise_it, [error], callback=pytest.fail, error_callback=calls.append).wait(LONG)
        assert [(type(call), call.args) for call in calls] == [(KeyError, ("deliberate",))] * 2
    pool.join()


def test_callbacks_run_in_one_other_thread_though_nobody_waits(kind: str) -> None:
    threads: list[str] = []
    arrived = threading.Semaphore(0)

    def callback(_: Any) -> None:
        threads.append(threading.current_thread().name)
        arrived.release()

    with make_pool(kind, 2) as pool:
        for _ in range(50):
            pool.apply_async(pid, callback=callback)
        for _ in range(50):
            assert arrived.acquire(timeout=LONG)
    pool.join()
    assert set(threads) == {"procession-callbacks"}


def test_a_result_is_not_ready_before_its_callback_has_run(kind: str) -> None:
    may_go, begun = threading.Event(), threading.Event()

    def callback(_: Any) -> None:
        begun.set()
        may_go.wait(LONG)

    with make_pool(kind, 1) as pool:
        result = pool.apply_async(pid, callback=callback)
        other = pool.apply_async(pid)
        assert begun.wait(LONG)
        assert not result.ready()
        assert other.get(LONG)
        may_go.set()
        assert result.get(LONG)
    pool.join()


def test_a_callback_that_raises_is_reported_and_harms_nothing(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_value))

    def callback(_: Any) -> None:
        raise LookupError("in the callback")

    calls: list[Any] = []
    with make_pool(kind, 1) as pool:
        assert pool.apply_async(square, (2,), callback=callback).get(LONG) == 4
        assert pool.apply_async(square, (3,), callback=calls.append).get(LONG) == 9
    pool.join()
    assert calls == [9]
    assert [str(error) for error in reported] == ["in the callback"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_callbacks_come_for_what_cannot_be_sent(ctx: Any) -> None:
    calls: list[Any] = []
    with ctx.Pool(1) as pool:
        result = pool.apply_async(identity, (Unpicklable(),), error_callback=calls.append)
        result.wait(LONG)
        other = pool.map_async(Unpicklable().__repr__, [1], error_callback=calls.append)
        other.wait(LONG)
    pool.join()
    assert [type(error) for error in calls] == [RuntimeError, RuntimeError]


def test_a_callback_cannot_wait_for_its_own_end(kind: str) -> None:
    errors: list[BaseException] = []
    pool = make_pool(kind, 1)

    def callback(_: Any) -> None:
        pool.close()
        with pytest.raises(RuntimeError, match="a callback cannot join its pool") as caught:
            pool.join()
        errors.append(caught.value)

    assert pool.apply_async(square, (2,), callback=callback).get(LONG) == 4
    assert len(errors) == 1
    pool.join()


def test_a_callback_may_use_the_pool(kind: str) -> None:
    found: list[Any] = []
    with make_pool(kind, 1) as pool:
        result = pool.apply_async(square, (2,), callback=lambda x: found.append(pool.apply(square, (x,))))
        assert result.get(LONG) == 4
        assert found == [16]
    pool.join()
