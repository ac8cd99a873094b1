"""The run: loads, the killer, and a look at what is left."""

import argparse
import gc
import os
import random
import sys
import time
from typing import Any

import procession
from procession import _family
from tests.kit import eventually, leaks

from .killer import Killer
from .locks import Locks
from .managers import Managers
from .pools import Pools
from .queues import Queues
from .tally import Tally

LOADS = ("pools", "queues", "locks", "managers")
GROWTH = 16 << 20
"""Bytes by which the memory of this process may grow after the first third of a run."""


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two strikes")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--method", default="forkserver")
    parser.add_argument("--only", default=",".join(LOADS), help="some of " + ", ".join(LOADS))
    return parser.parse_args()


def loads(ctx: Any, tally: Tally, options: argparse.Namespace) -> list[Any]:
    """What is to be at work."""
    makers = {
        "pools": lambda: Pools(ctx, tally, options.seed, options.workers),
        "queues": lambda: Queues(ctx, tally),
        "locks": lambda: Locks(ctx, tally),
        "managers": lambda: Managers(ctx, tally),
    }
    return [makers[name]() for name in options.only.split(",")]


def work(options: argparse.Namespace, tally: Tally) -> None:
    """Everything at work under the killer; then all ends in good order."""
    ctx = procession.get_context(options.method)
    at_work = loads(ctx, tally, options)
    for load in at_work:
        load.start()
    killer = Killer(tally, random.Random(options.seed), options.pause)
    killer.start()
    looks = [look(options.seconds / 12) for _ in range(12)]
    killer.stop()
    for load in at_work:
        load.stop()
    print("KiB of memory in the course of time:", *(bytes_ >> 10 for bytes_ in looks))
    tally.expect(looks[-1] - looks[3] < GROWTH, f"memory grew from {looks[3]} to {looks[-1]} bytes")


def look(seconds: float) -> int:
    """After so long: bytes of this process that no other shares."""
    time.sleep(seconds)
    with open("/proc/self/status", encoding="ascii") as status:
        (line,) = [line for line in status if line.startswith("RssAnon:")]
    return int(line.split()[1]) << 10


def names() -> set[str]:
    """What lies in /dev/shm and may be ours: SharedMemory; other programs use it too."""
    return {name for name in os.listdir("/dev/shm") if name.startswith("psm_")}


def heap() -> dict[str, int]:
    """What the family's heap holds, the dead buried."""
    gc.collect()
    _family.bury(0)
    return {name: _family.heap_stats()[name] for name in ("blocks", "members")}


def warm_up(ctx: Any) -> None:
    """Start what stays by design."""
    process = ctx.Process(target=int)
    process.start()
    process.join()
    with ctx.Pool(1) as pool, ctx.Manager() as manager:
        pool.map(int, [1])
        manager.list()


def look_after(tally: Tally, before: leaks.Holdings, shm: set[str], blocks: int) -> None:
    """No process, descriptor, memfd, entry of /dev/shm or block of the heap may be left."""
    found = leaks.leaked(before)
    tally.expect(not found, f"left behind:\n{found}")
    tally.expect(not names() - shm, f"in /dev/shm: {names() - shm}")
    try:
        # The pages in which this process lists what it holds stay, a few blocks.
        eventually(lambda: heap()["blocks"] <= blocks + 20)
    except AssertionError:
        tally.expect(False, f"the heap holds {heap()}, it held {blocks} blocks")


def main() -> int:
    """0 if there was no violation."""
    options, tally = arguments(), Tally()
    print(f"chaos: SEED={options.seed} SECONDS={options.seconds:g} method {options.method}", flush=True)
    warm_up(procession.get_context(options.method))
    before, shm, blocks = leaks.holdings(), names(), heap()["blocks"]
    with tally.unforeseen("chaos"):
        work(options, tally)
    look_after(tally, before, shm, blocks)
    print(f"{tally}\nchaos: SEED={options.seed}: {len(tally.violations)} violations")
    return int(bool(tally.violations))


if __name__ == "__main__":
    sys.exit(main())
