"""emcee, which is given a pool."""

import emcee
import numpy as np
from client import compare, context


def probability(place):
    return -0.5 * float((place**2).sum())


def sample(pool):
    np.random.seed(5)
    start = np.random.randn(12, 3)
    sampler = emcee.EnsembleSampler(12, 3, probability, pool=pool)
    sampler.run_mcmc(start, 20)
    return sampler.get_chain().tolist()


def alone():
    return sample(None)


def together():
    with context().Pool(2) as pool:
        return sample(pool)


if __name__ == "__main__":
    compare(alone, together)
