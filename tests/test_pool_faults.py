"""Pools whose workers die: real signals, every start method."""

import os
import signal
import threading
import time
from multiprocessing.pool import RemoteTraceback
from traceback import walk_tb
from typing import Any

import pytest

from procession._flow import oom
from procession.errors import WorkerLostError
from tests.kit import alive, eventually, kill, run_script
from tests.pools import (
    KINDS,
    LONG,
    die,
    die_on_seven,
    fail_to_start,
    identity,
    make_pool,
    pid,
    raise_it,
    square,
    touch_and_sleep,
    touch_and_wait,
)


def read(path: Any) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


# ---- workers that die ----------------------------------------------------------------------


def test_an_idle_worker_killed_is_replaced_and_nobody_notices(ctx: Any) -> None:
    with ctx.Pool(2) as pool:
        first = set(pool.map(pid, range(10), 1))
        for worker in list(pool._pool):
            kill(worker.pid)
            worker.join()
        assert pool.map(square, range(50), 1) == [i * i for i in range(50)]
        assert eventually(lambda: len(pool._pool) == 2 and all(w.is_alive() for w in pool._pool))
        assert first.isdisjoint(worker.pid for worker in pool._pool)
    pool.join()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, 0, 3, "abort"])
def test_a_busy_worker_that_dies_takes_its_task_along_and_no_other(ctx: Any, how: Any) -> None:
    with ctx.Pool(2) as pool:
        others = pool.map_async(square, range(20), 1)
        with pytest.raises(WorkerLostError) as caught:
            pool.apply(die, (how,))
        assert others.get(LONG) == [i * i for i in range(20)]
        assert pool.map(square, range(20)) == [i * i for i in range(20)]
    pool.join()
    error = caught.value
    number = signal.SIGABRT if how == "abort" else how
    code = -number if isinstance(number, signal.Signals) else number
    assert error.exitcode == code
    assert error.signal == (-code if code < 0 else None)
    assert error.pid
    assert "PoolWorker" in str(error.name)
    assert "die(" in str(error)
    assert (number.name if code < 0 else f"exit code {code}") in str(error)


@pytest.mark.parametrize("chunksize", [1, 4, 16])
def test_only_the_item_that_kills_is_lost(ctx: Any, chunksize: int) -> None:
    with ctx.Pool(2) as pool:
        results = pool.imap(die_on_seven, range(40), chunksize)
        found: list[Any] = []
        for _ in range(40):
            try:
                found.append(next(results))
            except WorkerLostError as error:
                found.append(error)
        with pytest.raises(WorkerLostError, match=r"die_on_seven\(7\), item 7"):
            pool.map(die_on_seven, range(20), chunksize)
    pool.join()
    lost = found.pop(7)
    assert isinstance(lost, WorkerLostError)
    assert found == [i * i for i in range(40) if i != 7]


def test_a_task_that_kills_each_worker_fails_each_time_and_the_pool_lives(ctx: Any) -> None:
    with ctx.Pool(2) as pool:
        results = [pool.apply_async(die, (signal.SIGKILL,)) for _ in range(8)]
        for result in results:
            with pytest.raises(WorkerLostError):
                result.get(LONG)
        assert pool.apply(square, (4,)) == 16
    pool.join()


def test_workers_killed_at_any_moment(ctx: Any) -> None:
    """Random kills while small tasks, and 1 MB arguments and results, go through."""
    blob = os.urandom(1_000_000)
    stop = threading.Event()

    outcomes: list[Any] = []

    def murder(pool: Any) -> None:
        seen = 0
        while not stop.wait(0.03):
            # Or hardly a worker would live to start well.
            if len(outcomes) > seen:
                seen = len(outcomes)
                for worker in list(pool._pool)[:1]:
                    kill(worker.pid)

    with ctx.Pool(3) as pool:
        killer = threading.Thread(target=murder, args=(pool,))
        killer.start()
        try:
            items = [blob if i % 10 == 0 else i for i in range(400)]
            singles = [pool.apply_async(identity, (item,)) for item in items[:100]]
            outcomes.extend(collect(result) for result in singles)
            many = pool.imap(identity, items, 7)
            outcomes.extend(take(many) for _ in items)
        finally:
            stop.set()
            killer.join()
        assert pool.apply(square, (3,)) == 9
    pool.join()
    for item, outcome in zip(items[:100] + items, outcomes, strict=True):
        assert isinstance(outcome, WorkerLostError) or outcome == item


def collect(result: Any) -> Any:
    try:
        return result.get(LONG)
    except WorkerLostError as error:
        return error


def take(results: Any) -> Any:
    try:
        return results.next(LONG)
    except WorkerLostError as error:
        return error


def test_a_dead_worker_is_replaced_though_nobody_waits(ctx: Any, tmp_path: Any) -> None:
    with ctx.Pool(1) as pool:
        pool.apply_async(die, (signal.SIGKILL,))
        pool.apply_async(touch_and_sleep, (str(tmp_path / "seen"), 0))
        assert eventually(lambda: read(tmp_path / "seen"))
    pool.join()


def test_callbacks_of_the_lost(ctx: Any) -> None:
    calls: list[Any] = []
    with ctx.Pool(1) as pool:
        result = pool.apply_async(die, (signal.SIGKILL,), callback=pytest.fail, error_callback=calls.append)
        with pytest.raises(WorkerLostError):
            result.get(LONG)
    pool.join()
    assert [type(call) for call in calls] == [WorkerLostError]


def test_stopped_workers_can_be_killed(ctx: Any) -> None:
    with ctx.Pool(1) as pool:
        kill(pool._pool[0].pid, signal.SIGSTOP)
        result = pool.apply_async(square, (2,))
        result.wait(0.05)
        assert not result.ready()
        kill(pool._pool[0].pid, signal.SIGKILL)
        assert result.get(LONG) == 4
    pool.join()


def test_the_parent_killed_takes_its_workers_along(method: str, tmp_path: Any) -> None:
    pids = tmp_path / "pids"
    script = f"""
    import os, signal, time
    import procession
    from tests.pools import touch_and_sleep

    if __name__ == "__main__":
        pool = procession.get_context({method!r}).Pool(2)
        pool.map_async(touch_and_sleep, [{str(pids)!r}] * 2, 1)
        while not os.path.exists({str(pids)!r}) or len(open({str(pids)!r}).read().split()) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    result = run_script(script, env={"PYTHONPATH": os.pathsep.join([os.getcwd(), "src"])})
    assert result.returncode == -signal.SIGKILL
    assert eventually(lambda: not any(alive(worker) for worker in read(pids)))


def test_workers_that_are_no_daemons_go_along_too(method: str, tmp_path: Any) -> None:
    pids = tmp_path / "pids"
    script = f"""
    import os, signal, time
    import procession
    import procession.pool
    from tests.pools import touch_and_sleep

    base = type(procession.get_context({method!r}))

    class NoDaemonProcess(base.Process):
        @property
        def daemon(self):
            return False

        @daemon.setter
        def daemon(self, value):
            pass

    class NoDaemonContext(base):
        Process = NoDaemonProcess

    if __name__ == "__main__":
        pool = procession.pool.Pool(2, context=NoDaemonContext())
        pool.map_async(touch_and_sleep, [{str(pids)!r}] * 2, 1)
        while not os.path.exists({str(pids)!r}) or len(open({str(pids)!r}).read().split()) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    result = run_script(script, env={"PYTHONPATH": os.pathsep.join([os.getcwd(), "src"])})
    assert result.returncode == -signal.SIGKILL
    assert eventually(lambda: not any(alive(worker) for worker in read(pids)))


# ---- workers that do not start well --------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_initializer_that_fails_breaks_the_pool(kind: str) -> None:
    with make_pool(kind, 2, fail_to_start, ("the reason",)) as pool:
        for _ in range(2):
            with pytest.raises(WorkerLostError, match=r"broken.*LookupError: the reason") as caught:
                pool.map(square, range(10))
        stream = pool.imap(square, range(10))
        for _ in range(100):
            with pytest.raises(WorkerLostError) as told:
                next(stream)
        assert len(list(walk_tb(told.value.__traceback__))) < 20
        calls: list[Any] = []
        pool.apply_async(square, (1,), error_callback=calls.append).wait(LONG)
    pool.join()
    cause = caught.value.__cause__
    assert isinstance(cause, LookupError)
    assert isinstance(calls[0], WorkerLostError)
    if kind != "threads":
        assert isinstance(cause.__cause__, RemoteTraceback)
        assert "in fail_to_start" in str(cause.__cause__)


def test_workers_that_die_in_the_initializer_break_the_pool_without_a_storm(ctx: Any, tmp_path: Any) -> None:
    with ctx.Pool(2, record_and_die, (str(tmp_path / "starts"),)) as pool:
        with pytest.raises(WorkerLostError, match="SIGKILL"):
            pool.apply(square, (3,))
        started = len(read(tmp_path / "starts"))
        assert started <= 16
        time.sleep(0.2)
        assert len(read(tmp_path / "starts")) <= 16
    pool.join()


def record_and_die(path: str) -> None:
    touch_and_sleep(path, 0)
    die(signal.SIGKILL)


def test_an_initializer_that_fails_now_and_then_does_not(ctx: Any, tmp_path: Any) -> None:
    with ctx.Pool(2, fail_the_first_time, (str(tmp_path / "once"),)) as pool:
        assert pool.map(square, range(20), 1) == [i * i for i in range(20)]
        assert eventually(lambda: len(pool._pool) == 2)
    pool.join()


def fail_the_first_time(path: str) -> None:
    try:
        with open(path, "x", encoding="ascii"):
            pass
    except FileExistsError:
        return
    raise_it(LookupError("the first time"))


def test_a_worker_killed_while_it_reads_is_given_the_message_once_more(ctx: Any, tmp_path: Any) -> None:
    with ctx.Pool(1) as pool:
        killer = KillsWhoLoadsIt(str(tmp_path / "loads"), 1)
        assert pool.map(len, [killer, "ab"], 2) == [0, 2]
        killer = KillsWhoLoadsIt(str(tmp_path / "more"), 5)
        with pytest.raises(WorkerLostError):
            pool.map(len, [killer, "ab"], 2)
    pool.join()
    assert len(read(tmp_path / "more")) == 2


class KillsWhoLoadsIt:
    def __init__(self, path: str, times: int) -> None:
        self.path = path
        self.times = times

    def __reduce__(self) -> Any:
        return load_and_die, (self.path, self.times)


def load_and_die(path: str, times: int) -> str:
    with open(path, "a+", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
        file.seek(0)
        if len(file.read().split()) <= times:
            file.close()
            os.kill(os.getpid(), signal.SIGKILL)
    return ""


def test_all_workers_may_die_at_once(ctx: Any, tmp_path: Any) -> None:
    gate, seen = str(tmp_path / "gate"), tmp_path / "seen"
    with ctx.Pool(3) as pool:
        results = pool.imap_unordered(TouchAndWait(str(seen), gate), range(3))
        eventually(lambda: len(read(seen)) == 3)
        for victim in read(seen):
            kill(victim)
        for _ in range(3):
            with pytest.raises(WorkerLostError):
                results.next(LONG)
        assert pool.map(square, range(9), 1) == [i * i for i in range(9)]
    pool.join()


def test_all_who_are_killed_together_for_want_of_memory_are_told_why(
    ctx: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = tmp_path / "count"
    count.write_text("oom_kill 3\n")
    monkeypatch.setattr(oom, "MOMENT", LONG)
    with ctx.Pool(2) as pool:
        pool._engine.crew._killed_for_memory = oom.Count(tmp_path / "none", tmp_path / "none", count)
        pids = [tmp_path / "one", tmp_path / "other"]
        pending = [pool.apply_async(touch_and_sleep, (str(path), LONG)) for path in pids]
        assert eventually(lambda: all(read(path) for path in pids))
        count.write_text("oom_kill 5\n")
        for result, path in zip(pending, pids, strict=True):
            kill(read(path)[0])
            with pytest.raises(WorkerLostError, match="for want of memory") as caught:
                result.get(LONG)
            assert "perhaps this process" in str(caught.value.cause)
    pool.join()


class TouchAndWait:
    def __init__(self, path: str, gate: str) -> None:
        self.arguments = path, gate

    def __call__(self, _: int) -> str:
        return touch_and_wait(*self.arguments)


def test_callbacks_of_a_broken_pool_run_before_it_is_joined() -> None:
    calls: list[Any] = []
    pool = make_pool("fork", 1, fail_to_start, ("the reason",))
    results = [pool.apply_async(square, (i,), error_callback=calls.append) for i in range(4)]
    pool.close()
    pool.join()
    assert len(calls) == 4
    for result in results:
        with pytest.raises(WorkerLostError):
            result.get(LONG)
