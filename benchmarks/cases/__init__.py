"""The cases, one file a matter; a new one is added to its file's `CASES`."""

from benchmarks.harness import Case

from . import data, growth, importing, locks, managers, pipes, queues, starts, tasks

__all__ = ["CASES"]

CASES: list[Case] = [
    *tasks.CASES,
    *data.CASES,
    *queues.CASES,
    *pipes.CASES,
    *locks.CASES,
    *managers.CASES,
    *starts.CASES,
    *importing.CASES,
    *growth.CASES,
]
