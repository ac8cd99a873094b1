"""A message of 16 bytes to another process and back."""

import multiprocessing
import time
from typing import Any

import procession
from benchmarks.harness import Case
from procession._family import Ring

MESSAGE = bytes(16)


def _echo_ring(there: Ring, back: Ring, operations: int) -> None:
    for _ in range(operations):
        back.put(there.get())


def _echo_pipe(connection: Any, operations: int) -> None:
    for _ in range(operations):
        connection.send_bytes(connection.recv_bytes())


def by_ring(operations: int) -> float:
    """Two rings, one for each direction."""
    there, back = Ring(), Ring()
    child = procession.get_context("fork").Process(target=_echo_ring, args=(there, back, operations + 1))
    child.start()
    there.put(MESSAGE)
    back.get()  # both run now
    begin = time.perf_counter()
    for _ in range(operations):
        there.put(MESSAGE)
        back.get()
    seconds = time.perf_counter() - begin
    child.join()
    return seconds / operations * 1e6


def by_pipe(package: Any, operations: int) -> float:
    """A duplex pipe of `package`."""
    context = package.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_echo_pipe, args=(there, operations + 1))
    child.start()
    here.send_bytes(MESSAGE)
    here.recv_bytes()
    begin = time.perf_counter()
    for _ in range(operations):
        here.send_bytes(MESSAGE)
        here.recv_bytes()
    seconds = time.perf_counter() - begin
    child.join()
    here.close()
    there.close()
    return seconds / operations * 1e6


def in_one_process(operations: int) -> float:
    """The same calls, with nobody to hand over to."""
    ring = Ring()
    begin = time.perf_counter()
    for _ in range(operations):
        ring.put(MESSAGE)
        ring.put(ring.get())
        ring.get()
    return (time.perf_counter() - begin) / operations * 1e6


CASE = Case(
    name="ring",
    title="16 bytes there and back",
    unit="µs",
    operations=20_000,
    contenders={
        "procession ring": by_ring,
        "procession Pipe": lambda operations: by_pipe(procession, operations),
        "multiprocessing Pipe": lambda operations: by_pipe(multiprocessing, operations),
        "ring, no hand-over": in_one_process,
    },
    floor="ring, no hand-over",
    target=3.0,
)
