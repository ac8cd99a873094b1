"""Pools and forks that the program makes by itself; pools in children of children."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import procession
from procession.errors import ProcessError
from tests.kit import run_script
from tests.pools import KINDS, LONG, make_pool, square, touch, wait_for

PATH = os.pathsep.join([os.getcwd(), os.path.join(os.getcwd(), "src")])


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def in_fork(work: Callable[[], Any]) -> int:
    """Exit status of a fork that does this: 0 if it returned."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_fork_leaves_the_pool_alone(kind: str, tmp_path: Any) -> None:
    gate = str(tmp_path / "gate")
    pool = make_pool(kind, 2)
    result = pool.map_async(wait_for, [gate] * 4, 1, callback=id)

    def misuse() -> None:
        with pytest.raises(ValueError, match="belongs to the process that forked"):
            pool.apply(square, (2,))
        with pytest.raises(ProcessError, match="only the process that made the pool"):
            result.get()
        assert not result.ready()
        pool.terminate()
        pool.join()

    def leave() -> None:
        with pytest.raises(ValueError, match="not running"), pool:
            pass

    assert in_fork(misuse) == 0
    assert in_fork(leave) == 0
    touch(gate)
    assert result.get(LONG) == [gate] * 4
    assert pool.map(square, range(10)) == [i * i for i in range(10)]
    pool.terminate()
    pool.join()


def test_a_fork_does_not_read_on(kind: str) -> None:
    read: list[int] = []

    def source() -> Iterator[int]:
        for number in itertools.count():
            read.append(number)
            yield number

    with make_pool(kind, 1) as pool:
        numbers = pool.imap(square, source())
        assert next(numbers) == 0

        def drop() -> None:
            nonlocal numbers
            before = len(read)
            del numbers
            time.sleep(0.1)
            assert len(read) == before

        assert in_fork(drop) == 0
        assert next(numbers) == 1
    pool.join()


def test_the_exit_of_a_fork_leaves_the_pool_alone(method: str) -> None:
    script = f"""
    import os, sys
    import procession
    from tests.pools import square

    if __name__ == "__main__":
        pool = procession.get_context({method!r}).Pool(2)
        pool.map(square, range(10))
        child = os.fork()
        if child == 0:
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert pool.map(square, range(10)) == [i * i for i in range(10)]
        print("fine")
    """
    result = run_script(script, env={"PYTHONPATH": PATH}).check()
    assert result.stdout == "fine\n"


def test_a_pool_in_a_child_of_a_child(ctx: Any) -> None:
    results = ctx.SimpleQueue()
    process = ctx.Process(target=spawn_a_child, args=(ctx.get_start_method(), results))
    process.start()
    assert results.get() == [0, 1, 4]
    process.join()
    assert process.exitcode == 0
    results.close()


def spawn_a_child(method: str, results: Any) -> None:
    process = procession.get_context(method).Process(target=use_a_pool, args=(method, results))
    process.start()
    process.join()


def use_a_pool(method: str, results: Any) -> None:
    with procession.get_context(method).Pool(2) as pool:
        results.put(pool.map(square, range(3)))


def fork_and_return(x: int) -> Any:
    if os.fork() == 0:
        return "the fork"
    os.wait()
    return x


def test_a_task_whose_fork_returns_too(ctx: Any) -> None:
    with ctx.Pool(2) as pool:
        assert pool.map(fork_and_return, range(6), 1) == list(range(6))
        assert pool.map(square, range(50), 1) == [i * i for i in range(50)]
        pool.close()
        pool.join()
