"""distributed's local cluster, whose nannies start each worker with a queue to hear from it."""

import multiprocessing
import os
import sys

import dask.array
from client import compare


def square(number):
    return number * number, multiprocessing.__name__


def alone():
    return [square(number) for number in range(40)], 250_000, 2


def together():
    dask.config.set({"distributed.worker.multiprocessing-method": sys.argv[1]})
    from distributed import Client, LocalCluster

    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(processes=True, **settings) as cluster, Client(cluster) as client:
        squares = client.gather(client.map(square, range(40)))
        total = int(dask.array.ones((500, 500), chunks=100).sum().compute())
        return squares, total, len(client.run(os.getpid))


if __name__ == "__main__":
    compare(alone, together)
