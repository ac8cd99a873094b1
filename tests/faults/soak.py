"""A million tasks through one pool whose workers are replaced after a thousand each.

``python -m tests.faults.soak --tasks 1000000`` (or ``make soak TASKS=1000000``): exit status 0 if
descriptors and memory stay flat and every task is answered.
"""

import argparse
import os
import sys
import time

import procession
from procession import _family
from tests.kit import leaks

GROWTH = 8 << 20
"""Bytes by which this process's memory may grow after the first tenth of the tasks."""
FEW = 8
"""Descriptors by which one look may differ from another: workers come and go meanwhile."""


def task(number: int) -> int:
    """As little as possible."""
    return number + 1


class Watch:
    """What this process holds, looked at every now and then."""

    def __init__(self) -> None:
        self.looks: list[tuple[int, int, int]] = []

    def look(self, done: int) -> None:
        """Remember and print memory, descriptors and the heap's blocks."""
        look = (memory(), len(os.listdir("/proc/self/fd")), _family.heap_stats()["blocks"])
        self.looks.append(look)
        print(f"{done:10} tasks: {look[0] >> 10} KiB, {look[1]} descriptors, {look[2]} blocks", flush=True)

    def complaints(self) -> list[str]:
        """What grew."""
        names, most = ("memory", "descriptors", "blocks"), (GROWTH, FEW, 200)
        grown = [last - first for first, last in zip(self.looks[0], self.looks[-1], strict=True)]
        return [
            f"{name} grew by {by}" for name, by, limit in zip(names, grown, most, strict=True) if by > limit
        ]


def memory() -> int:
    """Bytes of this process that no other shares."""
    with open("/proc/self/status", encoding="ascii") as status:
        (line,) = [line for line in status if line.startswith("RssAnon:")]
    return int(line.split()[1]) << 10


def run(tasks: int, method: str) -> list[str]:
    """What is wrong."""
    watch, total, done = Watch(), 0, 0
    with procession.get_context(method).Pool(4, maxtasksperchild=1000) as pool:
        first = {process.pid for process in pool._pool}
        for answer in pool.imap_unordered(task, range(tasks)):
            total, done = total + answer, done + 1
            if done % (tasks // 10) == 0:
                watch.look(done)
        replaced = not first & {process.pid for process in pool._pool}
        pool.close()
        pool.join()
    complaints = watch.complaints()
    if total != tasks * (tasks + 1) // 2:
        complaints.append("an answer is missing or wrong")
    if tasks > 8000 and not replaced:
        complaints.append("workers were not replaced")
    return complaints


def main() -> int:
    """0 if nothing is wrong."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--method", default="forkserver")
    options = parser.parse_args()
    began = time.monotonic()
    process = procession.get_context(options.method).Process(target=int)
    process.start()
    process.join()
    before = leaks.holdings()
    complaints = run(options.tasks, options.method)
    if found := leaks.leaked(before):
        complaints.append(f"left behind:\n{found}")
    print(f"soak: {options.tasks} tasks, {time.monotonic() - began:.0f} s")
    print("\n".join(complaints) or "soak: all flat")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
