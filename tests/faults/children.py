"""Children that are forked by hand, and what they leave in the family's heap."""

import gc
import os
import random
import signal
import time
from collections.abc import Callable

from procession import _family
from tests.kit import eventually
from tests.kit.running import LONG

__all__ = ["Usage", "back_to", "fork", "kill", "reap", "run", "usage"]

Usage = tuple[int, int, int]


def fork(work: Callable[[], object]) -> int:
    """Its pid; the child runs `work` and ends with 0, or with 1 if that raised."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.alarm(int(LONG))
        work()
        code = 0
    finally:
        os._exit(code)


def reap(pid: int) -> int:
    """How it ended, as of `os.waitstatus_to_exitcode`; it is buried."""
    _, status = os.waitpid(pid, 0)
    _family.bury(pid)
    return os.waitstatus_to_exitcode(status)


def run(work: Callable[[], object]) -> None:
    """In a child, which must end well."""
    assert reap(fork(work)) == 0


def kill(work: Callable[[], object], chance: random.Random, longest: float = 0.01) -> int:
    """Run `work` in a child and kill it at a random moment after it began; its pid."""
    begun = _family.EventWord()
    pid = fork(lambda: (begun.set(), work()))
    assert begun.wait(LONG)
    end = time.perf_counter() + chance.random() ** 3 * longest
    while time.perf_counter() < end:
        pass
    os.kill(pid, signal.SIGKILL)
    assert reap(pid) == -signal.SIGKILL
    return pid


def usage() -> Usage:
    """What is in use of the heap: bytes, blocks, objects."""
    gc.collect()
    # What other tests' dead left might else go while this one counts.
    _family.bury(0)
    # So many as a test needs at most: the pages in which this process lists what it holds stay.
    del [_family.EventWord() for _ in range(200)][:]
    stats = _family.heap_stats()
    return stats["used"], stats["blocks"], stats["objects"]


def back_to(before: Usage) -> None:
    """The heap must come to hold what it held before."""

    def is_back() -> bool:
        return usage() == before

    try:
        eventually(is_back)
    except AssertionError:
        raise AssertionError(f"the heap holds {usage()}, it held {before}: {_family.members()}") from None
