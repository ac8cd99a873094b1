"""Both kinds of channel, by the same tests; the workers' ends are used in this process."""

import gc
import operator
import pickle
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

from procession import _family
from procession._family import TaskGuard
from procession._flow.channel import FAILED, NUDGE, READY, RESULTS, UNREAD, Channel, Claim, Held, Link
from procession._flow.ring_channel import RingChannel
from procession._flow.task import APPLY, EACH, STAR, Call
from procession._flow.thread_channel import ThreadChannel
from procession.errors import TransferError
from tests.pools import BreaksWhenLoaded, Unpicklable, square

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


def answer_one(link: Link) -> None:
    """Serve one message."""
    assert link.serve(TaskGuard(), 1) == 1


def taken(ring: RingChannel, slot: int) -> Any:
    """A message as a worker takes it, which is not served."""
    return ring._tasks.get_claimed(ring._claims, slot, False)


@pytest.mark.parametrize("items", [[1], [1, 2, 3], ["a", None, 2.5], [[1], {}], list(range(100)), range(50)])
def test_there_and_back(channel: Channel, items: Any) -> None:
    link = channel.link(0, 1)
    channel.send(7, prepared(channel, repr), items, 0)
    answer_one(link)
    answer = received(channel)
    assert answer[:3] == (7, 0, len(items))
    values, errors = channel.open(answer)
    assert list(values) == [repr(item) for item in items]
    assert errors == {}


def test_modes(channel: Channel) -> None:
    link = channel.link(0, 1)
    channel.send(1, prepared(channel, pow, STAR), [(2, 3), (3, 2)], 0)
    answer_one(link)
    assert list(channel.open(received(channel))[0]) == [8, 9]
    channel.send(2, prepared(channel, int, APPLY), [(("11",), {"base": 2})], 0)
    answer_one(link)
    assert list(channel.open(received(channel))[0]) == [3]


def test_messages_come_in_order(channel: Channel) -> None:
    link = channel.link(1, 1)
    call = prepared(channel, square)
    for mid in range(1, 100):
        channel.send(mid, call, [mid], 0)
    for mid in range(1, 100):
        answer_one(link)
        answer = received(channel)
        assert answer[0] == mid
        assert list(channel.open(answer)[0]) == [mid * mid]


def test_parts_and_errors(channel: Channel) -> None:
    link = channel.link(0, 1)
    link.answer(5, 0, [1], {})
    assert received(channel)[:3] == (5, 0, 1)
    link.answer(5, 1, [None, "x"], {0: KeyError("deliberate")})
    answer = received(channel)
    assert answer[:3] == (5, 1, 2)
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
    assert [(answer[0], answer[3]) for answer in answers] == [(0, READY), (0, FAILED), (0, NUDGE)]
    assert [answer[1] for answer in answers[:2]] == [42, 42]
    assert isinstance(channel.open(answers[1])[1][0], KeyError)


def test_nothing_there(channel: Channel) -> None:
    inbox: deque[Any] = deque()
    channel.receive(inbox, 0)
    channel.receive(inbox, 0.01)
    assert not any(answers for answers, _ in inbox)


def test_a_nudge_ends_a_wait(channel: Channel) -> None:
    timer = threading.Timer(0.05, channel.nudge)
    timer.start()
    assert received(channel)[3] == NUDGE
    timer.join()


def test_dismissal_and_discarding(channel: Channel) -> None:
    link = channel.link(0, 1)
    call = prepared(channel, square)
    for mid in range(1, 5):
        channel.send(mid, call, [mid], 0)
    channel.discard()
    channel.dismiss(1)
    assert link.serve(TaskGuard(), None) == 0


def test_a_closed_channel_is_empty_and_opens_what_came(channel: Channel) -> None:
    link = channel.link(0, 1)
    channel.send(1, prepared(channel, square), [3], 0)
    answer_one(link)
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
    ring.link(1, 1)
    assert ring.claim(1) is None
    ring.send(9, prepared(ring, square), [1, 2, 3], 0)
    assert taken(ring, 1)
    assert ring.claim(1) == Claim(9, 0, runs=False)
    assert ring._claims.begin(1, 2, 3)
    assert ring.claim(1) == Claim(9, 2, runs=True, end=3)
    ring._claims.answer(1)
    assert ring.claim(1) == Claim(9, 2, runs=True, answers=True, end=3)
    assert ring.claim(0) is None
    ring.link(1, 2)
    assert ring.claim(1) is None


def test_what_was_not_begun_can_be_cut_off(ring: RingChannel) -> None:
    ring.link(1, 1)
    ring.send(9, prepared(ring, square), list(range(100)), 0)
    cuts: deque[Any] = deque()
    assert not ring.is_drained()
    assert taken(ring, 1)
    assert ring.is_drained()
    ring.cut(cuts, [(1, 9, 1)])
    assert not cuts  # nothing was begun: nobody knows how long it is
    assert ring._claims.begin(1, 0, 100)
    ring.cut(cuts, [(0, 9, 1), (1, 8, 1), (1, 9, 30)])
    assert list(cuts) == [(9, 30, 100)]
    assert ring.claim(1) == Claim(9, 0, runs=True, end=30)
    assert ring._claims.begin(1, 29, 100)
    assert not ring._claims.begin(1, 30, 100)
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
    ring.dismiss(1)
    assert link.serve(TaskGuard(), None) == 0
    answer = received(ring)
    assert answer[:4] == (3, 0, 0, UNREAD)
    _, errors = ring.open(answer)
    assert isinstance(errors[0], ValueError)


def test_what_cannot_be_answered(ring: RingChannel) -> None:
    link = ring.link(0, 1)
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
    message = pickle.loads(taken(ring, 0))
    assert message[0].size >= 100
    link.answer(1, 0, [_family.Block(200)], {})
    held = received(ring)
    ring.send(2, call, [1], 0)
    answer_one(link)
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


def all_of(ring: RingChannel) -> list[tuple[Any, ...]]:
    inbox: deque[Any] = deque()
    while ring.backlog():
        ring.receive(inbox, 0)
    return [answer for answers, _ in inbox for answer in answers]


def test_plain_results_that_follow_each_other_come_together(ring: RingChannel) -> None:
    link = ring.link(0, 1)
    call = Call(square, EACH, 1, 1)
    ring.prepare(call, once=False)
    ring._most[0] = 100
    ring.send(1, call, list(range(10)), 0)
    ring.send(2, call, [5, [], 7], 0)
    assert link.serve(TaskGuard(), 2) == 2
    assert ring.backlog() == 13
    answers = all_of(ring)
    assert [answer[:3] for answer in answers] == [(1, 0, 10), (2, 0, 1), (2, 1, 1), (2, 2, 1)]
    values, errors = ring.open(answers[0])
    assert (list(values), errors) == ([number * number for number in range(10)], {})
    assert isinstance(ring.open(answers[2])[1][0], TypeError)


def test_a_large_message_and_a_large_answer(ring: RingChannel) -> None:
    link = ring.link(0, 1)
    ring.send(1, prepared(ring, bytes), [[bytes(1)] * 2, bytes(100_000)], 0)
    ring.send(2, prepared(ring, bytes), [bytes([7]) * 30_000], 0)
    assert link.serve(TaskGuard(), 2) == 2
    assert isinstance(ring.open(received(ring))[1][0], TypeError)
    assert ring.open(received(ring))[0] == [bytes([7]) * 30_000]


def test_a_function_in_a_block_of_its_own(ring: RingChannel) -> None:
    link = ring.link(0, 1)
    call = prepared(ring, partial(operator.contains, list(range(100_000))))
    assert isinstance(call.wire.text, _family.Block)
    for mid in (1, 2):
        ring.send(mid, call, [5, -1], 0)
        answer_one(link)
        assert ring.open(received(ring))[0] == [True, False]


def test_an_answer_for_which_there_is_no_memory_is_an_error(ring: RingChannel) -> None:
    link: Any = ring.link(0, 1)

    class Full:
        """In the place of the ring of answers, as link.answer sees it."""

        refusals = 1

        def put(self, *message: Any) -> bool:
            if self.refusals:
                self.refusals = 0
                raise MemoryError("refused")
            return ring._answers.put(*message)  # type: ignore[no-any-return]

    link._answers = Full()
    link.answer(3, 0, [[1]], {})
    assert isinstance(ring.open(received(ring))[1][0], MemoryError)
