"""The interpreter's end, while threads wait in native calls and objects go at the last moment."""

import pytest

from tests.kit import run_python

WAITING = """
import os, sys, threading, time
from procession import _family as f

ring, lock, event, waiters = f.Ring(), f.SemLock(1, 0, 1, owned=True), f.EventWord(), f.WaitList()

def again(wait, *arguments):
    while True:
        wait(*arguments)

for wait in [(ring.get,), (lock.acquire, True, 0.3), (event.wait, 0.2), (ring.wait_readable, 0.1),
             (lambda: waiters.wait(waiters.enter(), 0.1),), (lambda: f.Block(1000),)]:
    threading.Thread(target=again, args=wait, daemon=True).start()

class Late:
    # Goes when the interpreter is being taken down, and takes its time.
    def __init__(self, event, sleep, write):
        self.event, self.sleep, self.write = event, sleep, write
    def __del__(self):
        for _ in range(15):
            self.sleep(0.1)
        assert self.event.wait(0.2) is False
        self.write(1, b"gone")

sys.late = Late(f.EventWord(), time.sleep, os.write)
time.sleep(0.3)
"""

DROPPING = """
import sys
from procession import _family as f

ring = f.Ring()
ring.put(b"x", carry=[f.Block(300_000), f.EventWord()])
ring.get()
sys.kept = [f.Ring(), f.Block(5 << 20), memoryview(f.Block(100)), ring]
sys.kept.append(sys.kept)
"""


def test_daemon_threads_wait_in_native_calls() -> None:
    result = run_python("-c", WAITING).check()
    assert (result.stdout, result.stderr) == ("gone", "")


@pytest.mark.parametrize("end", ["", "import os; os._exit(0)", "sys.exit(0)"])
def test_objects_that_live_to_the_end(end: str) -> None:
    assert run_python("-c", DROPPING + end).check().stderr == ""
