"""Tasks that start processes and use pools of their own, and what becomes of these."""

import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import procession
from procession.errors import ProcessError, WorkerLostError
from tests.kit import alive, eventually
from tests.pools import LONG, square


def answer(queue: Any) -> None:
    queue.put(os.getppid())


def in_a_process(method: str) -> bool:
    ctx = procession.get_context(method)
    queue = ctx.SimpleQueue()
    process = ctx.Process(target=answer, args=(queue,))
    process.start()
    queue.get()
    process.join()
    queue.close()
    return bool(process.daemon and process.exitcode == 0)


def in_a_pool(method: str) -> list[int]:
    with procession.get_context(method).Pool(2) as pool:
        return list(pool.map(square, range(5), 1))


def in_an_executor(method: str) -> int:
    with ProcessPoolExecutor(1, mp_context=procession.get_context(method)) as pool:
        return pool.submit(square, 5).result()


def in_a_manager(method: str) -> list[int]:
    with procession.get_context(method).Manager() as manager:
        shared = manager.list([1])
        shared.append(2)
        return list(shared)


def in_a_pool_in_a_pool(method: str) -> list[int]:
    with procession.get_context(method).Pool(1) as pool:
        return list(pool.apply(in_a_pool, (method,)))


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (in_a_process, True),
        (in_a_pool, [0, 1, 4, 9, 16]),
        (in_an_executor, 25),
        (in_a_manager, [1, 2]),
        (in_a_pool_in_a_pool, [0, 1, 4, 9, 16]),
    ],
)
def test_tasks_may_start_processes(ctx: Any, method: str, task: Any, expected: Any) -> None:
    with ctx.Pool(2) as pool:
        assert pool.map(task, [method] * 3, 1) == [expected] * 3
        pool.close()
        pool.join()


def have_family(method: str, path: str, end: str) -> str:
    ctx = procession.get_context(method)
    with ctx.Pool(2) as pool:
        pool.map(square, range(10))
        child = ctx.Process(target=time.sleep, args=(LONG,))
        child.start()
        pids = [os.getpid(), child.pid, *(worker.pid for worker in pool._pool)]
        Path(path + ".part").write_text(" ".join(map(str, pids)), encoding="ascii")
        os.rename(path + ".part", path)
        if end == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if end == "terminate":
            pool.map(time.sleep, [LONG] * 2, 1)
    return end


@pytest.mark.parametrize("end", ["kill", "terminate", "close"])
def test_what_a_task_has_started_goes_with_its_worker(
    ctx: Any, method: str, tmp_path: Path, end: str
) -> None:
    path = tmp_path / "pids"
    pool = ctx.Pool(1)
    result = pool.apply_async(have_family, (method, str(path), end))
    if end == "kill":
        with pytest.raises(WorkerLostError):
            result.get(LONG)
        assert pool.apply(square, (3,)) == 9
    elif end == "close":
        assert result.get(LONG) == "close"
        pool.close()
    eventually(path.exists, LONG)
    if end != "close":
        pool.terminate()
    pool.join()
    if end == "terminate":
        with pytest.raises(ProcessError):
            result.get(0)
    pids = [int(word) for word in path.read_text(encoding="ascii").split()]
    assert len(pids) == 4
    eventually(lambda: not any(map(alive, pids)), LONG)
