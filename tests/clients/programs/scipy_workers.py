"""scipy with a pool's map for its workers, or a pool of its own."""

import numpy as np
from client import compare, context
from scipy.optimize import brute, differential_evolution, rosen

BOUNDS = [(0, 2), (0, 2)]


def fit(workers):
    found = differential_evolution(rosen, BOUNDS, workers=workers, updating="deferred", rng=1, maxiter=6)
    grid = brute(rosen, ((-1, 1.5), (-1, 1.5)), Ns=6, workers=workers, finish=None)
    return found.x.tolist(), found.fun, np.asarray(grid).tolist()


def alone():
    return [fit(1)] * 2


def together():
    with context().Pool(2) as pool:
        return [fit(pool.map), fit(2)]


if __name__ == "__main__":
    compare(alone, together)
