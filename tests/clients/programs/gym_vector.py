"""gymnasium's AsyncVectorEnv, with observations in shared memory and without."""

import sys

import gymnasium
import numpy as np
from client import compare
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv


def make():
    return gymnasium.make("CartPole-v1")


def play(environment):
    environment.action_space.seed(3)
    seen = [environment.reset(seed=7)[0].tolist()]
    for _ in range(15):
        observation, reward, *_ = environment.step(environment.action_space.sample())
        seen.append([observation.tolist(), np.asarray(reward).tolist()])
    environment.close()
    return seen


def alone():
    return [play(SyncVectorEnv([make, make]))] * 2


def together():
    options = {"context": sys.argv[1]}
    return [play(AsyncVectorEnv([make, make], shared_memory=shared, **options)) for shared in (True, False)]


if __name__ == "__main__":
    compare(alone, together)
