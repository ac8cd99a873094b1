"""Small messages from hand to hand, beside a stream: in order, and only to who looks out."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from procession import _family

# Where nothing can be written, so that what is sent went by hand.
NOWHERE = -1


class Ends:
    """A stream with a relay, and its two ends."""

    def __init__(self) -> None:
        self.relay = _family.Relay()
        self.inward, self.outward = _family.Stream(self.relay), _family.Stream(self.relay)
        self.reader, self.writer = os.pipe()
        self.done = threading.Event()
        self.threads = ThreadPoolExecutor(1)

    def looked_out_for(self, count: int) -> Future[list[bytes]]:
        """The next so many messages, of a thread that looks out for them all the time."""
        return self.threads.submit(self._look_out, count)

    def _look_out(self, count: int) -> list[bytes]:
        got: list[bytes] = []
        while len(got) < count and not self.done.is_set():
            data = self.inward.receive(self.reader)
            if data is not None:
                got.append(data)
        return got

    def close(self) -> None:
        self.done.set()
        self.threads.shutdown()
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


@pytest.mark.parametrize("data", [b"", b"x", b"y" * 432])
def test_who_looks_out_is_given_it_by_hand(ends: Ends, data: bytes) -> None:
    receiver = ends.looked_out_for(3)
    for _ in range(3):
        while not ends.outward.send(NOWHERE, data):
            pass
    assert receiver.result(30) == [data] * 3


def test_nobody_looks_out(ends: Ends) -> None:
    assert not ends.outward.send(NOWHERE, b"x")
    assert ends.inward.receive(ends.reader) is None
    assert not ends.outward.send(NOWHERE, b"x")


def refused(ends: Ends, data: bytes) -> bool:
    """Is this never given to somebody who looks out all the time?"""
    receiver = ends.looked_out_for(1)
    given = any(ends.outward.send(NOWHERE, data) for _ in range(300))
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
    while not ends.outward.send(NOWHERE, b"y"):
        pass
    assert receiver.result(30) == [b"y"]


def test_what_was_received_no_longer_stands_in_the_way(ends: Ends) -> None:
    for number in range(20):
        data = str(number).encode()
        receiver = ends.looked_out_for(2)
        assert ends.outward.send(ends.writer, data)
        while not ends.outward.send(NOWHERE, b"by hand"):
            pass
        assert receiver.result(30) == [data, b"by hand"]


def test_it_is_no_object_for_others(ends: Ends) -> None:
    with pytest.raises(TypeError):
        ends.relay.__reduce__()
