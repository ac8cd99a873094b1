"""Pools at the limit of shared memory: an error that says so, for what has no room, and for nothing else."""

import os
import resource
from pathlib import Path
from typing import Any

import pytest

from tests.kit import run_script

SCRIPT = """
import os
import resource
import signal
from functools import partial

import numpy as np
import procession
from procession.errors import WorkerLostError

HUGE = 10**7

def total(rows, _=None): return float(rows.sum())
def hold(rows):
    held.append(rows)
    return float(rows.sum())
held = []

def die(rows):
    os.kill(os.getpid(), signal.SIGKILL)

def refused(call):
    try:
        call()
    except MemoryError as error:
        return "64 MiB" in str(error) and "ulimit -f" in str(error)

def works(pool):
    rows = np.ones(10**6)
    found = pool.map(total, [rows, rows, rows], 1), pool.apply(np.ones, (5 * 10**5,)).sum()
    return found == ([10**6] * 3, 5 * 10**5)

if __name__ == "__main__":
    # The heap is as long as a file may be.  What else is written is short.
    resource.setrlimit(resource.RLIMIT_FSIZE, (70 << 20, 70 << 20))
    with procession.get_context("METHOD").Pool(2) as pool:
        for _ in range(2):
            assert works(pool)
            assert refused(lambda: pool.apply(total, (np.ones(HUGE),)))
            assert refused(lambda: pool.map(total, [np.ones(5), np.ones(HUGE)], 1))
            assert refused(lambda: list(pool.imap(total, [np.ones(HUGE)])))
            assert refused(lambda: pool.apply(np.ones, (HUGE,)))
            assert refused(lambda: pool.map(partial(total, np.ones(HUGE)), range(3)))
            assert refused(lambda: pool.apply(bytes, (8 * HUGE,)))
        # Several that have room one by one, and not together.
        results = [pool.apply_async(hold, (np.ones(2 * 10**6),)) for _ in range(8)]
        outcomes = []
        for result in results:
            try:
                outcomes.append(result.get(30) == 2 * 10**6)
            except MemoryError:
                outcomes.append(None)
        assert None in outcomes and outcomes.count(True) >= 1, outcomes
        pids = [worker.pid for worker in pool._pool]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        while not {worker.pid for worker in pool._pool}.isdisjoint(pids):
            pool.apply(int)
        assert works(pool)
        try:
            pool.apply(die, (np.ones(10**6),))
        except WorkerLostError:
            assert works(pool)
            print("alive")
    pool.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_what_has_no_room_is_refused_and_the_pool_lives_on(method: str) -> None:
    assert run_script(SCRIPT.replace("METHOD", method)).check().stdout == "alive\n"


def leave(room: int) -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + room
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def test_a_worker_that_has_no_room_for_a_function_or_an_argument_lives_on(ctx: Any) -> None:
    large = b"x" * 10**8
    with ctx.Pool(1, leave, (48 << 20,)) as pool:
        pid = pool.apply(os.getpid)
        for call in (lambda: pool.apply(large.startswith, (b"x",)), lambda: pool.apply(len, (large,))):
            with pytest.raises(MemoryError):
                call()
        assert pool.apply(os.getpid) == pid
    pool.join()
