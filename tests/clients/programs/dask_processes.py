"""dask's scheduler of processes, with an executor of its own and with a pool."""

import sys

import dask
import dask.bag
from client import compare, context


def cube(number):
    return number**3


def work(**options):
    bag = dask.bag.from_sequence(range(40), npartitions=5).map(cube).filter(lambda number: number % 2)
    total = dask.delayed(sum)([dask.delayed(cube)(n) for n in range(6)])
    return bag.compute(**options), total.compute(**options)


def alone():
    return [work(scheduler="sync")] * 2


def together():
    with dask.config.set({"multiprocessing.context": sys.argv[1]}):
        own = work(scheduler="processes", num_workers=2)
    with context().Pool(2) as pool:
        return [own, work(scheduler="processes", pool=pool)]


if __name__ == "__main__":
    compare(alone, together)
