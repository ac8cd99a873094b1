"""The cases, one file each; a new one is added to the list here."""

from benchmarks.harness import Case

from . import lock, ring, simple_queue

CASES: list[Case] = [ring.CASE, simple_queue.CASE, lock.CASE]
