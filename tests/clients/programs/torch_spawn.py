"""torch.multiprocessing: spawn and its errors, its own pool and queues."""

import torch
import torch.multiprocessing as mp
from client import compare


def rank(number, shared, queue, done):
    shared[number] = number + 1
    queue.put((number, torch.full((2,), float(number))))
    done.wait()


def fail(number):
    if number:
        raise ValueError("on purpose")


def double(tensor):
    return tensor * 2


def alone():
    return [[1.0, 2.0, 0.0], [(0, [0.0, 0.0]), (1, [1.0, 1.0])], "on purpose", [[2.0], [4.0]]]


def together():
    spawn = mp.get_context("spawn")
    shared, queue, done = torch.zeros(3).share_memory_(), spawn.SimpleQueue(), spawn.Event()
    processes = mp.spawn(rank, args=(shared, queue, done), nprocs=2, join=False)
    sent = sorted((number, tensor.tolist()) for number, tensor in (queue.get(), queue.get()))
    done.set()
    while not processes.join():
        pass
    try:
        mp.spawn(fail, nprocs=2)
    except mp.ProcessRaisedException as error:
        told = str(error).rpartition("ValueError: ")[2].strip()
    with mp.Pool(2) as pool:
        doubled = [tensor.tolist() for tensor in pool.map(double, [torch.ones(1), torch.ones(1) * 2])]
    return [shared.tolist(), sent, told, doubled]


if __name__ == "__main__":
    compare(alone, together)
