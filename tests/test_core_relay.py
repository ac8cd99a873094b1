"""Small messages from hand to hand, beside a stream: in order, and only to who looks out."""

import os
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from procession import _family


class Ends:
    """A relay, and a thread that receives."""

    def __init__(self) -> None:
        self.relay = _family.Relay()
        self.done = threading.Event()
        self.threads = ThreadPoolExecutor(1)

    def looked_out_for(self, count: int, catch: Callable[[], Any] | None = None) -> Future[list[Any]]:
        """The next so many messages, of a thread that looks out for them all the time."""
        return self.threads.submit(self._look_out, count, catch or self.relay.catch_bytes)

    def _look_out(self, count: int, catch: Callable[[], Any]) -> list[Any]:
        got: list[Any] = []
        while len(got) < count and not self.done.is_set():
            data = catch()
            if data is not None:
                got.append(data)
        return got

    def close(self) -> None:
        self.done.set()
        self.threads.shutdown()


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


@pytest.mark.parametrize("data", [b"", b"x", b"y" * 432])
def test_who_looks_out_is_given_it_by_hand(ends: Ends, data: bytes) -> None:
    receiver = ends.looked_out_for(3)
    for _ in range(3):
        while not ends.relay.give_bytes(data):
            pass
    assert receiver.result(30) == [data] * 3


def test_nobody_looks_out(ends: Ends) -> None:
    assert not ends.relay.give_bytes(b"x")
    assert ends.relay.catch_bytes() is None
    assert not ends.relay.give_bytes(b"x")


def refused(ends: Ends, data: bytes) -> bool:
    """Is this never given to somebody who looks out all the time?"""
    receiver = ends.looked_out_for(1)
    given = any(ends.relay.give_bytes(data) for _ in range(300))
    ends.done.set()
    return not given and receiver.result(30) == []


def test_a_longer_one_goes_by_the_stream(ends: Ends) -> None:
    assert refused(ends, b"x" * 433)


def test_a_closed_one_gives_nothing(ends: Ends) -> None:
    ends.relay.close()
    assert refused(ends, b"x")


def test_nothing_overtakes_what_is_on_its_way_into_the_stream(ends: Ends) -> None:
    ends.relay.count_sent()
    assert refused(ends, b"x")
    ends.done.clear()
    ends.relay.count_unsent()
    receiver = ends.looked_out_for(1)
    while not ends.relay.give_bytes(b"y"):
        pass
    assert receiver.result(30) == [b"y"]


def test_what_was_received_no_longer_stands_in_the_way(ends: Ends) -> None:
    reader, writer = os.pipe()
    inward, outward = _family.Stream(ends.relay), _family.Stream(ends.relay)
    for number in range(20):
        data = str(number).encode()
        assert outward.send(writer, data)
        assert ends.relay.catch_bytes() is None
        assert inward.receive(reader) == data
        receiver = ends.looked_out_for(1)
        while not ends.relay.give_bytes(b"by hand"):
            pass
        assert receiver.result(30) == [b"by hand"]
    assert inward.receive(reader) is None
    os.close(reader)
    os.close(writer)


def test_what_could_not_be_sent_is_not_counted(ends: Ends) -> None:
    assert not _family.Stream(ends.relay).send(-1, b"x")
    receiver = ends.looked_out_for(1)
    while not ends.relay.give_bytes(b"by hand"):
        pass
    assert receiver.result(30) == [b"by hand"]


@pytest.mark.parametrize("value", [1, -1.5, "é", b"", (1, "two"), [1, [2, {"a": ()}]], True])
def test_plain_objects(ends: Ends, value: object) -> None:
    receiver = ends.looked_out_for(2, lambda: ends.relay.catch(None))
    for _ in range(2):
        while not ends.relay.give(value):
            pass
    assert receiver.result(30) == [value] * 2


def test_objects_that_are_not_plain_and_bytes_that_are_none(ends: Ends) -> None:
    receiver = ends.looked_out_for(1)
    assert not any(ends.relay.give(object()) for _ in range(300))
    with pytest.raises(TypeError):
        ends.relay.give_bytes("text")
    ends.done.set()
    assert receiver.result(30) == []


def test_what_is_no_pickle_is_the_receivers_matter(ends: Ends) -> None:
    receiver = ends.looked_out_for(1, lambda: ends.relay.catch(None))
    while not ends.relay.give_bytes(b"nonsense"):
        pass
    with pytest.raises(pickle.UnpicklingError):
        receiver.result(30)


@pytest.mark.parametrize("name", ["give", "catch"])
def test_an_argument_too_few_or_too_many(ends: Ends, name: str) -> None:
    for arguments in [(), (1, 2)]:
        with pytest.raises(TypeError):
            getattr(ends.relay, name)(*arguments)


def test_it_is_no_object_for_others(ends: Ends) -> None:
    with pytest.raises(TypeError):
        ends.relay.__reduce__()
