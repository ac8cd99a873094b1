"""celery's billiard, a fork of multiprocessing that stays what it is."""

import billiard
import billiard.pool
from client import compare, context


def square(number):
    return number * number, billiard.current_process().name.partition("-")[0]


def alone():
    return [[(n * n, kind) for n in range(6)] for kind in ("ForkPoolWorker", "MainProcess", "ForkPoolWorker")]


def together():
    assert not issubclass(billiard.Process, type(context()).Process)
    with billiard.pool.Pool(2) as theirs:
        first = theirs.map(square, range(6))
        with context().Pool(2) as ours:
            second = [(number, "MainProcess") for number, _ in ours.map(square, range(6))]
        return [first, second, theirs.map(square, range(6))]


if __name__ == "__main__":
    compare(alone, together)
