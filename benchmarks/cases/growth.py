"""How cost grows with the number of tasks, workers, processes and items."""

import os
import time
from collections.abc import Iterator
from typing import Any

import procession
from benchmarks.harness import OURS, Case
from benchmarks.pairs import context, seconds
from benchmarks.tasks import nothing

FORK = "fork"
MANY = 5_000_000


def pool(workers: int = 2) -> Any:
    found = procession.get_context(FORK).Pool(workers)
    found.map(nothing, range(1_000), 1)
    return found


def a_task(workers: int, tasks: int, chunk: int | None = None) -> float:
    """Seconds a task in one map, the best of some, which a short map needs more of."""
    with pool(workers) as running:
        times = max(1, 100_000 // tasks)
        return min(seconds(lambda: running.map(nothing, range(tasks), chunk)) for _ in range(times)) / tasks


def million_over_thousand(_: int) -> float:
    return a_task(2, 1_000_000, 1) / a_task(2, 1_000, 1)


def sixty_four_over_two(_: int) -> float:
    return a_task(64, 20_000, 1) / a_task(2, 20_000, 1)


def resident() -> int:
    """Bytes of this process's own memory."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


def stream_memory(operations: int) -> float:
    """The most that this process holds more, in MB, while imap's results are taken slowly."""

    def numbers() -> Iterator[int]:
        yield from range(operations)

    with pool() as running:
        before, most = resident(), 0
        for index, _ in enumerate(running.imap(nothing, numbers(), 1_000)):
            if index % 50_000 == 0:
                time.sleep(0.01)
                most = max(most, resident())
        return (most - before) / 1e6


def idle_share(_: int) -> float:
    """Share of a processor, in per cent, that 64 workers and their parent use while nothing happens."""
    with pool(64) as running:
        time.sleep(1)
        pids = [os.getpid(), *(worker.pid for worker in running._pool)]
        before = sum(map(ticks, pids))
        time.sleep(4)
        return (sum(map(ticks, pids)) - before) / os.sysconf("SC_CLK_TCK") / 4 * 100


def ticks(pid: int) -> int:
    """Processor time used so far."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _report(queue: Any, number: int) -> None:
    queue.put(number)


def five_hundred(operations: int) -> float:
    """Seconds a process: all started before the first is joined, each answering by a queue."""
    kind = context(OURS)
    queue = kind.Queue()

    def whole() -> None:
        children = [kind.Process(target=_report, args=(queue, number)) for number in range(operations)]
        for child in children:
            child.start()
        assert sorted(queue.get() for _ in children) == list(range(operations))
        for child in children:
            child.join()
            assert child.exitcode == 0

    return seconds(whole) / operations


def heap_kept(operations: int) -> float:
    """MB of shared memory that stay when so many items were put, then taken."""
    from procession import _family

    queue = context(OURS).Queue()
    before = os.fstat(_family.heap_fd()).st_blocks
    for number in range(operations):
        queue.put(number)
    assert all(queue.get() == number for number in range(operations))
    return (os.fstat(_family.heap_fd()).st_blocks - before) * 512 / 1e6


CASES = [
    Case(
        "flat",
        "a task of 1,000,000 over one of 1,000, chunksize=1",
        {OURS: million_over_thousand},
        unit="x",
        limit=1.2,
    ),
    Case(
        "workers", "a task among 64 workers over one among 2", {OURS: sixty_four_over_two}, unit="x", limit=2
    ),
    Case(
        "idle",
        "64 idle workers and their parent, share of a processor",
        {OURS: idle_share},
        unit="%",
        limit=0.5,
    ),
    Case(
        "stream",
        "memory over imap of 5 million items, slowly taken",
        {OURS: stream_memory},
        MANY,
        unit="MB",
        limit=100,
    ),
    Case("processes", "500 processes start, answer and end, each", {OURS: five_hundred}, 500),
    Case(
        "backlog",
        "shared memory kept after 5 million items in a queue",
        {OURS: heap_kept},
        MANY,
        unit="MB",
        limit=64,
    ),
]
