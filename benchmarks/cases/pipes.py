"""A message to another process and back."""

from typing import Any

from benchmarks.harness import BEST, FLOOR, Case
from benchmarks.pairs import context, each, everybody, running

MEGABYTE = bytes(1_000_000)


def echo(connection: Any, times: int) -> None:
    for _ in range(times):
        connection.send(connection.recv())


def echo_bytes(connection: Any, times: int) -> None:
    for _ in range(times):
        connection.send_bytes(connection.recv_bytes())


def integer(package: str, operations: int) -> float:
    here, there = context(package).Pipe()

    def once() -> None:
        here.send(1)
        assert here.recv() == 1

    with running(package, echo, there, operations + 1):
        once()
        return each(once, operations)


def megabyte(package: str, operations: int) -> float:
    here, there = context(package).Pipe()

    def once() -> None:
        here.send_bytes(MEGABYTE)
        assert len(here.recv_bytes()) == len(MEGABYTE)

    with running(package, echo_bytes, there, operations + 1):
        once()
        return each(once, operations)


def _echo_ring(there: Any, back: Any, times: int) -> None:
    for _ in range(times):
        back.put(there.get())


def ring(operations: int, message: bytes = bytes(16)) -> float:
    """Two bare rings of the native core, without pickling."""
    from procession._family import Ring

    there, back = Ring(), Ring()

    def once() -> None:
        there.put(message)
        back.get()

    with running("procession", _echo_ring, there, back, operations + 1):
        once()
        return each(once, operations)


def big_ring(operations: int) -> float:
    return ring(operations, MEGABYTE)


CASES = [
    Case(
        "pipe",
        "Pipe there and back, an integer",
        everybody(integer) | {FLOOR: ring},
        5_000,
        targets={BEST: 8},
    ),
    Case(
        "pipe-1mb",
        "Pipe there and back, 1 MB of bytes",
        everybody(megabyte) | {FLOOR: big_ring},
        300,
        targets={BEST: 4},
    ),
]
