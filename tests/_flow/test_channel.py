"""Both kinds of channel, by the same tests; the workers' ends are used in this process."""

import gc
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from procession import _family
from procession._flow.channel import FAILED, NUDGE, READY, RESULTS, UNREAD, Channel, Claim, Held, Link
from procession._flow.ring_channel import RingChannel
from procession._flow.task import APPLY, EACH, STAR, Call
from procession._flow.thread_channel import ThreadChannel
from procession.errors import TransferError
from tests.pools import BreaksWhenLoaded, Unpicklable, give_unpicklable, square

LONG = 30.0


@pytest.fixture(params=[lambda: RingChannel(2), ThreadChannel], ids=["ring", "thread"])
def channel(request: pytest.FixtureRequest) -> Any:
    made: Channel = request.param()
    yield made
    made.close()


def prepared(channel: Channel, function: Callable[..., Any], mode: int = EACH) -> Call:
    call = Call(function, mode)
    channel.prepare(call, once=mode == APPLY)
    return call


def received(channel: Channel, timeout: float = LONG) -> Any:
    inbox: deque[Any] = deque()
    channel.receive(inbox, timeout)
    ((answers, hold),) = inbox
    (answer,) = answers
    return answer if hold is None else Held(channel, answer, hold)


def answer_all(link: Link) -> None:
    message = link.take()
    assert message is not None
    mid, mode, _, _, function, items = message
    assert link.begin(0, len(items), len(items)) == len(items)
    values = [function(item) if mode == EACH else function(*item) for item in items]
    link.answer(mid, 0, values, {})


@pytest.mark.parametrize("items", [[1], [1, 2, 3], ["a", None, 2.5], [[1], {}], list(range(100)), range(50)])
def test_there_and_back(channel: Channel, items: Any) -> None:
    link = channel.link(0, 1)
    channel.send(7, prepared(channel, repr), items, 0)
    answer_all(link)
    answer = received(channel)
    assert tuple(channel.head(answer)) == (7, 0, len(items), channel.head(answer)[3])
    values, errors = channel.open(answer)
    assert list(values) == [repr(item) for item in items]
    assert errors == {}


def test_modes(channel: Channel) -> None:
    link = channel.link(0, 1)
    channel.send(1, prepared(channel, pow, STAR), [(2, 3), (3, 2)], 0)
    answer_all(link)
    assert list(channel.open(received(channel))[0]) == [8, 9]
    channel.send(2, prepared(channel, int, APPLY), [(("11",), {"base": 2})], 0)
    message = link.take()
    assert message is not None
    assert message[0] == 2
    assert message[1] == APPLY
    assert message[-1] == [(("11",), {"base": 2})]


def test_messages_come_in_order(channel: Channel) -> None:
    link = channel.link(1, 1)
    call = prepared(channel, square)
    for mid in range(1, 100):
        channel.send(mid, call, [mid], 0)
    for mid in range(1, 100):
        answer_all(link)
        answer = received(channel)
        assert channel.head(answer)[0] == mid
        assert list(channel.open(answer)[0]) == [mid * mid]


def test_parts_and_errors(channel: Channel) -> None:
    link = channel.link(0, 1)
    channel.send(5, prepared(channel, square), [1, 2, 3], 0)
    link.take()
    link.answer(5, 0, [1], {})
    assert tuple(channel.head(received(channel)))[:3] == (5, 0, 1)
    link.answer(5, 1, [None, "x"], {0: KeyError("deliberate")})
    answer = received(channel)
    assert tuple(channel.head(answer))[:3] == (5, 1, 2)
    values, errors = channel.open(answer)
    assert list(values) == [None, "x"]
    assert list(errors) == [0]
    assert isinstance(errors[0], KeyError)


def test_notes(channel: Channel) -> None:
    link = channel.link(0, 42)
    answers = []
    for note in (link.ready, lambda: link.failed(KeyError("deliberate")), channel.nudge):
        note()
        answers.append(received(channel))
    heads = [channel.head(answer) for answer in answers]
    assert [(head[0], head[3]) for head in heads] == [(0, READY), (0, FAILED), (0, NUDGE)]
    assert [head[1] for head in heads[:2]] == [42, 42]
    assert isinstance(channel.open(answers[1])[1][0], KeyError)


def test_nothing_there(channel: Channel) -> None:
    inbox: deque[Any] = deque()
    channel.receive(inbox, 0)
    channel.receive(inbox, 0.01)
    assert not any(answers for answers, _ in inbox)


def test_a_nudge_ends_a_wait(channel: Channel) -> None:
    timer = threading.Timer(0.05, channel.nudge)
    timer.start()
    assert channel.head(received(channel))[3] == NUDGE
    timer.join()


def test_dismissal_and_discarding(channel: Channel) -> None:
    link = channel.link(0, 1)
    call = prepared(channel, square)
    for mid in range(1, 5):
        channel.send(mid, call, [mid], 0)
    channel.discard()
    channel.dismiss()
    assert link.take() is None


def test_a_closed_channel_is_empty_and_opens_what_came(channel: Channel) -> None:
    link = channel.link(0, 1)
    channel.send(1, prepared(channel, square), [3], 0)
    answer_all(link)
    answer = received(channel)
    channel.close()
    channel.nudge()
    channel.discard()
    assert list(channel.open(answer)[0]) == [9]


# ---- rings alone ---------------------------------------------------------------------------


@pytest.fixture
def ring() -> Any:
    channel = RingChannel(2)
    yield channel
    channel.close()


def test_claims(ring: RingChannel) -> None:
    link = ring.link(1, 1)
    assert ring.claim(1) is None
    ring.send(9, prepared(ring, square), [1, 2, 3], 0)
    link.take()
    assert ring.claim(1) == Claim(9, 0, 0)
    assert link.begin(0, 2, 3) == 2
    assert ring.claim(1) == Claim(9, 0, 2, 3)
    assert ring.claim(0) is None
    ring.link(1, 2)
    assert ring.claim(1) is None


def test_what_was_not_begun_can_be_cut_off(ring: RingChannel) -> None:
    link = ring.link(1, 1)
    ring.send(9, prepared(ring, square), list(range(100)), 0)
    cuts: deque[Any] = deque()
    assert not ring.is_drained()
    link.take()
    assert ring.is_drained()
    ring.cut(cuts, [(1, 9, 1)])
    assert not cuts  # nothing was begun: nobody knows how long it is
    assert link.begin(0, 1, 100) == 1
    ring.cut(cuts, [(0, 9, 1), (1, 8, 1), (1, 9, 30)])
    assert list(cuts) == [(9, 30, 100)]
    assert ring.claim(1) == Claim(9, 0, 1, 30)
    assert link.begin(1, 50, 100) == 29
    assert link.begin(30, 1, 100) == 0
    ring.cut(cuts, [(1, 9, 1)])
    assert len(cuts) == 1


def test_what_cannot_be_sent(ring: RingChannel) -> None:
    call = prepared(ring, square)
    with pytest.raises(RuntimeError, match="not for travelling"):
        ring.send(1, call, [1, Unpicklable()], 0)
    with pytest.raises(TransferError) as caught:
        ring.send(1, call, [1, {"a": [threading.Lock()]}], 20)
    assert caught.value.path == "iterable[21]['a'][0]"
    with pytest.raises(TransferError) as caught:
        ring.send(1, prepared(ring, square, APPLY), [((1,), {"k": threading.Lock()})], 0)
    assert caught.value.path == "kwds['k']"
    with pytest.raises(RuntimeError, match="not for travelling"):
        prepared(ring, Unpicklable().__repr__)


def test_what_cannot_be_read(ring: RingChannel) -> None:
    link = ring.link(0, 1)
    ring.send(3, prepared(ring, square), [1, BreaksWhenLoaded()], 0)
    ring.dismiss()
    assert link.take() is None
    answer = received(ring)
    assert tuple(ring.head(answer)) == (3, 0, 0, UNREAD)
    _, errors = ring.open(answer)
    assert isinstance(errors[0], ValueError)


def test_what_cannot_be_answered(ring: RingChannel) -> None:
    link = ring.link(0, 1)
    ring.send(3, prepared(ring, give_unpicklable), [1, 2], 0)
    link.take()
    link.answer(3, 0, [Unpicklable(), 5], {})
    values, errors = ring.open(received(ring))
    assert list(values) == [None, 5]
    assert type(errors[0]).__name__ == "MaybeEncodingError"


def test_shared_objects_are_held_on_the_way(ring: RingChannel) -> None:
    link = ring.link(0, 1)
    call = prepared(ring, square)
    gc.collect()
    before = _family.heap_stats()["objects"]
    ring.send(1, call, [_family.Block(100)], 0)
    assert _family.heap_stats()["objects"] == before + 1
    message = link.take()
    assert message is not None
    assert message[-1][0].size >= 100
    link.answer(1, 0, [_family.Block(200)], {})
    held = received(ring)
    ring.send(2, call, [1], 0)
    link.take()
    link.answer(2, 0, [1], {})
    # Opened at any later time, by any thread.
    assert not isinstance(received(ring), Held)
    with ThreadPoolExecutor(1) as executor:
        values, _ = executor.submit(held.open).result()
    assert values[0].size >= 200
    del message, values, held
    assert _family.heap_stats()["objects"] == before


def test_answers_know_their_kind() -> None:
    assert len({RESULTS, UNREAD, READY, FAILED, NUDGE}) == 5


def test_an_answer_that_can_be_opened_but_once_is_opened_once(ring: RingChannel) -> None:
    link = ring.link(0, 1)
    ring.send(1, prepared(ring, square), [1], 0)
    link.take()
    link.answer(1, 0, [np.arange(100_000.0)], {})
    held = received(ring)
    with ThreadPoolExecutor(4) as executor:
        opened = list(executor.map(lambda _: held.open(), range(8)))
    assert all(each is opened[0] for each in opened)
    values, errors = opened[0]
    assert values[0].sum() == 4999950000.0
    assert errors == {}


def test_errors_of_a_start_and_of_reading_may_carry_shared_objects(ring: RingChannel) -> None:
    link = ring.link(0, 1)
    link.failed(ValueError(_family.Block(100)))
    error: Any = received(ring).open()[1][0]
    assert error.args[0].size >= 100
