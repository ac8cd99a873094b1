"""Descriptors and shared objects on the way: none is left over, none is lost."""

import multiprocessing.resource_sharer
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from procession import _family
from procession.connection import Pipe
from procession.errors import TransferError, TransferTypeError
from procession.reduction import dumps, loads, travels
from tests.samples import LOCK, Bad, copy


@pytest.fixture
def sharer() -> Iterator[dict[int, Any]]:
    """What the resource sharer of the stdlib holds for readers."""
    yield multiprocessing.resource_sharer._resource_sharer._cache
    multiprocessing.resource_sharer.stop()


def test_a_socket_travels_and_leaves_nothing_behind(sharer: dict[int, Any]) -> None:
    one, other = socket.socketpair()
    with one, copy((other, lambda: 1))[0] as again:
        assert not sharer
        other.close()
        again.send(b"x")
        assert one.recv(1) == b"x"
        again.close()
        # A duplicate that was left somewhere would keep the stream open.
        assert one.recv(1) == b""


def test_a_pickle_that_fails_gives_its_duplicates_back(sharer: dict[int, Any]) -> None:
    one, other = socket.socketpair()
    with one, other:
        for value in ([other, LOCK], [other, Bad(ValueError())], [other, Bad(KeyboardInterrupt())]):
            with pytest.raises((TransferError, KeyboardInterrupt)):
                dumps(value)
    assert not sharer
    assert one.fileno() == -1


def test_shared_objects_are_carried_once() -> None:
    locks = [_family.SemLock(_family.SEMAPHORE, 1, 1, True) for _ in range(3)]
    for companion in ([1], lambda: 1):
        carry: list[Any] = ["what was there"]
        made = loads(dumps([*locks, companion], carry))
        assert carry == ["what was there", *locks]
        assert [lock.handle for lock in made[:3]] == [lock.handle for lock in locks]
    carry = []
    with pytest.raises(TransferError):
        dumps([*locks, LOCK], carry)
    assert dumps(5, carry)


class AwkwardError(Exception):
    """Cannot be rebuilt: its args are not what its ``__init__`` wants."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


def test_what_travels_is_told_by_trying(sharer: dict[int, Any]) -> None:
    assert loads(travels(ValueError(1))).args == (1,)
    with pytest.raises(TransferTypeError, match=r"^AwkwardError: it is .* cannot be rebuilt: .*'text'"):
        travels(AwkwardError(1, "x"))
    with pytest.raises(TransferTypeError, match=r"args\[0\]: cannot pickle"):
        travels(ValueError(LOCK))
    one, other = Pipe()
    with one, other:
        error = loads(travels(ValueError(other)))
        error.args[0].send("there")
        assert one.recv() == "there"
    assert not sharer
