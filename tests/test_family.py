"""The family: what its members hold is taken back, however and whenever they end."""

import gc
import os
import pickle
import signal
import time
from typing import Any

import pytest

from procession import _family
from tests.kit import eventually


def in_use() -> tuple[int, int]:
    gc.collect()
    # What other tests' dead left might else go while this one counts.
    _family.bury(0)
    stats = _family.heap_stats()
    return stats["blocks"], stats["objects"]


def test_a_child_killed_before_it_could_run_leaves_nothing(ctx: Any) -> None:
    warm = ctx.Process(target=int)
    warm.start()
    warm.join()
    held = [ctx.Queue(), ctx.Lock(), ctx.Event()]
    before = in_use()
    for _ in range(20):
        process = ctx.Process(target=time.sleep, args=(30,))
        process.start()
        process.kill()
        process.join()
    assert eventually(lambda: in_use() == before), (in_use(), before)
    del held


def test_an_object_lives_as_long_as_a_forked_child_holds_it() -> None:
    ring, answers = _family.Ring(), _family.Ring()
    before = in_use()
    pid = os.fork()
    if pid == 0:
        answers.put(ring.get(True, 20) or b"")
        os._exit(0)
    ring.put(b"for the child alone")
    del ring
    assert answers.get(True, 20) == b"for the child alone"
    os.waitpid(pid, 0)
    _family.bury(pid)
    assert in_use() == (before[0] - 2, before[1] - 1)


def test_a_handle_of_what_is_gone_is_refused() -> None:
    lock = _family.SemLock(_family.SEMAPHORE, 1, 1, owned=True)
    pickled = pickle.dumps(lock)
    del lock
    with pytest.raises(ReferenceError, match="keep a reference"):
        pickle.loads(pickled)


def test_what_is_carried_is_noted_once_a_meeting_and_only_within() -> None:
    ring, outer, inner = _family.Ring(), [], []
    with _family.carrying(outer):
        pickle.dumps(ring)
        with _family.carrying(inner):
            pickle.dumps([ring, 1])
    pickle.dumps(ring)
    assert (outer, inner) == ([ring], [ring])


def test_a_stopped_child_is_not_buried() -> None:
    lock = _family.SemLock(_family.SEMAPHORE, 1, 1, owned=True)
    taken = _family.EventWord()
    pid = os.fork()
    if pid == 0:
        lock.acquire()
        taken.set()
        time.sleep(30)
        os._exit(1)
    assert taken.wait(20)
    os.kill(pid, signal.SIGSTOP)
    assert _family.bury(pid) == 0
    assert lock.acquire(True, 0.2) is False
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with pytest.raises(Exception, match="died while it held"):
        lock.acquire(True, 20)
