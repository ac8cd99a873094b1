"""Reducers registered with the stdlib's ForkingPickler hold on every path; executors on our contexts."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest

import procession
import procession.reduction


class Tensor:
    """What pickle refuses, but for who knows a way."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers
        self.lock = threading.Lock()


def rebuild(numbers: list[int]) -> Tensor:
    """As libraries do: whoever got one knows the way from then on."""
    ForkingPickler.register(Tensor, reduce)
    return Tensor([*numbers, os.getpid()])


def reduce(tensor: Tensor) -> Any:
    return rebuild, (tensor.numbers,)


@pytest.fixture
def registered() -> Iterator[None]:
    """The way is told late, when all modules have long been imported."""
    ForkingPickler.register(Tensor, reduce)
    yield
    vars(ForkingPickler)["_extra_reducers"].pop(Tensor)


def echo(tensor: Tensor, *ways: Any) -> None:
    assert isinstance(tensor.lock, type(threading.Lock()))
    for way in ways:
        (way.send if hasattr(way, "send") else way.put)(tensor)


def give_back(tensor: Tensor) -> Tensor:
    return tensor


def numbers_of(tensor: Tensor) -> list[int]:
    return tensor.numbers


@pytest.mark.usefixtures("registered")
def test_arguments_queues_and_pipes(ctx: Any, method: str) -> None:
    queue, simple, (here, there) = ctx.Queue(), ctx.SimpleQueue(), ctx.Pipe()
    with here, there:
        process = ctx.Process(target=echo, args=(Tensor([1]), queue, simple, there))
        process.start()
        found = [queue.get(), simple.get(), here.recv()]
        process.join()
    assert process.exitcode == 0
    # Under fork the first of these journeys needs no pickle.
    journeys = [os.getpid()] if method == "fork" else [process.pid, os.getpid()]
    assert [tensor.numbers for tensor in found] == [[1, *journeys]] * 3


@pytest.mark.usefixtures("registered")
def test_tasks_and_results_of_pools(ctx: Any) -> None:
    with ctx.Pool(1) as pool:
        worker = pool.apply(os.getpid)
        assert pool.map(numbers_of, [Tensor([2]), Tensor([3])]) == [[2, worker], [3, worker]]
        ways = [
            pool.apply(give_back, (Tensor([4]),)),
            pool.apply_async(give_back, kwds={"tensor": Tensor([4])}).get(),
            next(pool.imap_unordered(give_back, [Tensor([4])])),
            pool.starmap(give_back, [(Tensor([4]),)])[0],
        ]
        assert [tensor.numbers for tensor in ways] == [[4, worker, os.getpid()]] * 4


def keep(tensor: Tensor) -> None:
    global kept
    kept = tensor


def told() -> list[int]:
    return kept.numbers


@pytest.mark.usefixtures("registered")
def test_initializers_of_pools(ctx: Any, method: str) -> None:
    with ctx.Pool(1, keep, (Tensor([5]),)) as pool:
        worker = pool.apply(os.getpid)
        assert pool.apply(told) == ([5] if method == "fork" else [5, worker])


@pytest.mark.usefixtures("registered")
def test_executors(ctx: Any) -> None:
    with ProcessPoolExecutor(1, mp_context=ctx) as executor:
        worker = executor.submit(os.getpid).result()
        assert executor.submit(give_back, Tensor([6])).result().numbers == [6, worker, os.getpid()]


def test_the_latest_registration_counts(registered: None) -> None:
    queue = procession.SimpleQueue()
    queue.put(Tensor([1]))
    procession.reduction.register(Tensor, lambda tensor: (tuple, (tensor.numbers,)))
    queue.put(Tensor([2]))
    assert queue.get().numbers == [1, os.getpid()]
    vars(ForkingPickler)["_extra_reducers"][Tensor] = lambda tensor: (tuple, (tensor.numbers,))
    queue.put(Tensor([3]))
    assert [queue.get(), queue.get()] == [(2,), (3,)]
    queue.close()


# ---- what others do with a context ---------------------------------------------------------


def square(number: int) -> int:
    return number * number


def leave() -> None:
    os._exit(5)


def test_an_executor_on_our_context(ctx: Any) -> None:
    with ProcessPoolExecutor(2, mp_context=ctx, initializer=keep, initargs=(Ellipsis,)) as executor:
        assert list(executor.map(square, range(20), chunksize=3)) == [square(n) for n in range(20)]
        with pytest.raises(TypeError, match="int"):
            executor.submit(len, 5).result()
        refused = executor.submit(square, threading.Lock())
        with pytest.raises(TypeError, match="pickle"):
            refused.result()
    with ProcessPoolExecutor(1, mp_context=ctx) as executor, pytest.raises(BrokenProcessPool):
        executor.submit(leave).result()


def test_workers_of_an_executor_are_replaced(ctx: Any) -> None:
    """A worker that has put its last result, and ends, was not terminated abruptly."""
    if ctx.get_start_method() == "fork":
        with pytest.raises(ValueError, match="fork"):
            ProcessPoolExecutor(1, mp_context=ctx, max_tasks_per_child=1)
        return
    with ProcessPoolExecutor(1, mp_context=ctx, max_tasks_per_child=2) as executor:
        assert len({executor.submit(os.getpid).result() for _ in range(4)}) == 2


def test_an_event_loop_runs_work_on_our_context(ctx: Any) -> None:
    async def work() -> list[int]:
        with ProcessPoolExecutor(2, mp_context=ctx) as executor:
            loop = asyncio.get_running_loop()
            return await asyncio.gather(*(loop.run_in_executor(executor, square, n) for n in range(8)))

    assert asyncio.run(work()) == [n * n for n in range(8)]


# ---- what the documentation says of reduction ----------------------------------------------


def send_over(listener: socket.socket, connection: Any) -> None:
    client, _ = listener.accept()
    connection.send(client)
    client.close()
    assert connection.recv() == "taken"


def test_sockets_as_arguments_and_messages(ctx: Any) -> None:
    ctx.allow_connection_pickling()
    here, there = ctx.Pipe()
    with here, there, socket.create_server(("127.0.0.1", 0)) as listener:
        process = ctx.Process(target=send_over, args=(listener, there))
        process.start()
        with socket.create_connection(listener.getsockname()) as client, here.recv() as served:
            here.send("taken")
            served.sendall(b"through another process")
            assert client.recv(100) == b"through another process"
        process.join()
    assert process.exitcode == 0
