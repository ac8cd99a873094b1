"""What flies and what has landed, with workers that are played by the test."""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procession._flow.channel import RESULTS, UNREAD, Claim, Failed
from procession._flow.future import ApplyResult, MapResult
from procession._flow.job import Job
from procession._flow.scheduler import Scheduler
from procession._flow.shares import even
from procession._flow.stream import IMapIterator, Stream
from procession._flow.task import APPLY, EACH, Call
from procession._flow.thread_channel import ThreadChannel
from procession.errors import ProcessError
from tests.pools import square


class LostError(Exception):
    pass


class Desk(ThreadChannel):
    """Messages lie on it until the test takes one."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: deque[tuple[int, Sequence[Any], int]] = deque()

    def send(self, mid: int, call: Call, items: Sequence[Any], index: int) -> None:
        self.messages.append((mid, items, index))

    def reply(self, mid: int, first: int, values: list[Any]) -> None:
        self._answers.put((mid, first, len(values), RESULTS, (values, {})))

    def unread(self, mid: int, error: BaseException) -> None:
        self._answers.put((mid, 0, 0, UNREAD, ([None], {0: error})))


class Caller:
    """In the place of a pool and of its callbacks."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.owed: list[Job] = []
        self.ended: list[Job] = []
        self._scheduler = Scheduler(self.desk, self, self.told)
        self.notes: list[Any] = []
        self.cuts: list[Any] = []

    def owe(self, job: Job) -> None:
        self.owed.append(job)

    def due(self, job: Job) -> None:
        self.ended.append(job)

    def told(self, number: int, answer: Any) -> None:
        self.notes.append((number, answer and self.desk.open(answer)[1][0]))

    def map(self, length: int, chunksize: int) -> Any:
        result: Any = MapResult(self, chunksize, length, call=Call(square, EACH))
        self._scheduler.begin(result, result.submit, list(range(length)), even(range(length), chunksize))
        return result

    def stream(self, length: int, chunksize: int) -> Stream:
        stream = Stream(self, Call(square, EACH), ordered=True)

        def submit() -> None:
            for start in range(0, length, chunksize):
                items = list(range(start, min(start + chunksize, length)))
                self._scheduler.submit(stream, start, items)
            stream.seal(length, None)

        self._scheduler.begin(stream, submit)
        return stream

    def take_all(self, stream: Stream) -> list[Any]:
        found: list[Any] = []
        results = IMapIterator(stream, lambda: None, lambda: None)
        while True:
            try:
                found.append(results.next(0))
            except LostError as error:
                found.append(error)
            except StopIteration:
                return found


def lost(task: str) -> BaseException:
    return LostError(task)


def test_answers_in_parts_and_out_of_order() -> None:
    caller = Caller()
    result = caller.map(10, 4)
    (a, b, c) = [mid for mid, _, _ in caller.desk.messages]
    caller.desk.reply(c, 0, [64, 81])
    caller.desk.reply(a, 0, [0])
    caller.desk.reply(b, 0, [16, 25, 36, 49])
    assert not result.ready()
    caller.desk.reply(a, 1, [1, 4, 9])
    assert result.get(0) == [i * i for i in range(10)]
    assert not caller._scheduler.flying
    assert not caller._scheduler.jobs


def test_what_was_answered_before_is_not_heard() -> None:
    caller = Caller()
    result = caller.map(2, 2)
    ((mid, _, _),) = caller.desk.messages
    caller.desk.reply(mid, 0, [0])
    caller.desk.reply(mid, 0, ["again"])
    caller.desk.reply(mid, 1, [1])
    caller.desk.reply(mid, 1, ["late"])
    caller.desk.reply(999, 0, ["a stranger's"])
    assert result.get(0) == [0, 1]


def test_a_worker_that_died_before_it_read_is_forgiven_once() -> None:
    caller = Caller()
    stream = caller.stream(3, 3)
    mid, items, index = caller.desk.messages.popleft()
    caller._scheduler.lose(Claim(mid, 0, runs=False), lost)
    again, items_again, index_again = caller.desk.messages.popleft()
    assert (list(items), index) == (list(items_again), index_again)
    caller._scheduler.lose(Claim(again, 0, 0), lost)
    assert not caller.desk.messages
    assert [type(found) for found in caller.take_all(stream)] == [LostError] * 3


def test_a_call_whose_worker_died_before_it_read_waits_for_the_next_one() -> None:
    caller = Caller()
    result: Any = ApplyResult(caller, call=Call(square, APPLY))
    caller._scheduler.begin(result, caller._scheduler.submit, result, 0, [((3,), {})])
    mid, _, _ = caller.desk.messages.popleft()
    caller._scheduler.lose(Claim(mid, 0, runs=False), lost)
    assert not result.ready()
    ((again, _, _),) = caller.desk.messages
    caller.desk.reply(again, 0, [9])
    assert result.get(0) == 9


def test_the_rest_of_a_lost_message_is_sent_again() -> None:
    caller = Caller()
    stream = caller.stream(10, 10)
    mid, _, _ = caller.desk.messages.popleft()
    caller.desk.reply(mid, 0, [0, 1])
    caller._scheduler.drain()
    caller._scheduler.lose(Claim(mid, 4, runs=True, end=10), lost)
    rest = [(list(items), index) for _, items, index in caller.desk.messages]
    assert rest == [([2, 3], 2), ([5, 6, 7, 8, 9], 5)]
    for again, items, _ in caller.desk.messages:
        caller.desk.reply(again, 0, [i * i for i in items])
    found = caller.take_all(stream)
    assert str(found.pop(4)) == "square(4), item 4"
    assert found == [i * i for i in range(10) if i != 4]


def test_where_several_were_being_answered_each_is_sent_again_by_itself() -> None:
    caller = Caller()
    stream = caller.stream(10, 10)
    mid, _, _ = caller.desk.messages.popleft()
    caller.desk.reply(mid, 0, [0, 1])
    caller._scheduler.drain()
    caller._scheduler.lose(Claim(mid, 4, runs=True, answers=True, end=10), lost)
    rest = [(mid, list(items), index) for mid, items, index in caller.desk.messages]
    assert [part[1:] for part in rest] == [([2], 2), ([3], 3), ([4], 4), ([5, 6, 7, 8, 9], 5)]
    caller._scheduler.lose(Claim(rest[1][0], 0, runs=True, end=1), lost)
    for again, items, index in rest:
        if index != 3:
            caller.desk.reply(again, 0, [i * i for i in items])
    found = caller.take_all(stream)
    assert str(found.pop(3)) == "square(3), item 3"
    assert found == [i * i for i in range(10) if i != 3]


def test_a_claim_on_what_was_answered_is_nothing() -> None:
    caller = Caller()
    result = caller.map(2, 2)
    mid, _, _ = caller.desk.messages.popleft()
    caller.desk.reply(mid, 0, [0, 1])
    caller._scheduler.drain()
    caller._scheduler.lose(Claim(mid, 1, runs=True, end=2), lost)
    assert result.get(0) == [0, 1]
    assert not caller.desk.messages


def test_what_cannot_be_read_is_parted() -> None:
    caller = Caller()
    stream, result = caller.stream(2, 2), caller.map(2, 2)
    (mid, _, _), (other, _, _) = caller.desk.messages
    caller.desk.messages.clear()
    caller.desk.unread(mid, LostError("unread"))
    caller.desk.unread(other, LostError("unread"))
    caller._scheduler.drain()
    assert [(list(items), index) for _, items, index in caller.desk.messages] == [([0], 0), ([1], 1)]
    caller.desk.reply(caller.desk.messages[0][0], 0, ["read"])
    caller.desk.unread(caller.desk.messages[1][0], LostError("again"))
    assert [str(found) for found in caller.take_all(stream)] == ["read", "again"]
    with pytest.raises(LostError, match="unread"):
        result.get(0)


def test_what_was_cut_off_is_sent_again_in_small_messages() -> None:
    caller = Caller()
    result = caller.map(40, 40)
    mid, _, _ = caller.desk.messages.popleft()
    caller._scheduler._cuts.append((mid, 8, 40))
    caller._scheduler.drain()
    rest = [(index, len(items)) for _, items, index in caller.desk.messages]
    assert rest[0] == (8, 4)
    assert rest[-1] == (39, 1)
    assert sum(length for _, length in rest) == 32
    caller.desk.reply(mid, 0, [i * i for i in range(8)])
    for again, items, _ in caller.desk.messages:
        caller.desk.reply(again, 0, [i * i for i in items])
    assert result.get(0) == [i * i for i in range(40)]
    assert caller._scheduler.is_idle


def test_a_cut_that_is_told_after_the_death_is_nothing_new() -> None:
    caller = Caller()
    stream = caller.stream(10, 10)
    mid, _, _ = caller.desk.messages.popleft()
    caller._scheduler.lose(Claim(mid, 4, runs=True, end=7), lost)
    caller._scheduler._cuts.append((mid, 7, 10))
    caller._scheduler.drain()
    rest = sorted((index, len(items)) for _, items, index in caller.desk.messages)
    assert rest == [(0, 4), (5, 2), (7, 1), (8, 1), (9, 1)]
    for again, items, _ in caller.desk.messages:
        caller.desk.reply(again, 0, [i * i for i in items])
    found = caller.take_all(stream)
    assert str(found.pop(4)) == "square(4), item 4"
    assert found == [i * i for i in range(10) if i != 4]


@settings(deadline=None)
@given(st.data())
def test_whatever_dies_each_item_is_answered_once(data: st.DataObject) -> None:
    """Workers take, begin items, answer parts and die, as hypothesis likes it."""
    caller = Caller()
    length, chunksize = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 8))
    stream = caller.stream(length, chunksize)
    deaths = 0
    while caller.desk.messages:
        mid, items, _ = caller.desk.messages.popleft()
        deaths += play_worker(data, caller, mid, items, may_die=deaths < 30)
        if not caller.desk.messages:
            caller._scheduler._cuts.extend(caller.cuts)
            caller.cuts.clear()
            caller._scheduler.drain()
    found = caller.take_all(stream)
    assert len(found) == length
    assert all(isinstance(x, LostError) or x == i * i for i, x in enumerate(found))
    assert sum(isinstance(x, LostError) for x in found) <= deaths * chunksize
    assert not caller._scheduler.flying
    assert not caller._scheduler.jobs


def play_worker(data: st.DataObject, caller: Caller, mid: int, items: Sequence[Any], may_die: bool) -> int:
    """Gives 1 if the worker died."""
    answered = begun = 0
    runs = answers = replies = False
    last = len(items)
    while answered < last:
        if may_die and data.draw(st.integers(0, 3)) == 0:
            caller._scheduler.drain()
            caller._scheduler.lose(Claim(mid, begun, runs, answers, last if runs else 0), lost)
            return 1
        if runs and begun + 1 < last and data.draw(st.integers(0, 3)) == 0:
            cut = mid, data.draw(st.integers(begun + 1, last - 1)), last
            last = cut[1]
            # Told at once, or later, or not before a worker has died.
            caller.cuts.append(cut)
            if data.draw(st.booleans()):
                caller._scheduler._cuts.extend(caller.cuts)
                caller.cuts.clear()
        if replies:
            caller.desk.reply(mid, answered, [i * i for i in items[answered : begun + 1]])
            answered, replies = begun + 1, False
        elif runs and answered <= begun and (begun + 1 == last or data.draw(st.booleans())):
            answers, replies = answered < begun, True
        else:
            begun, runs, answers = begun + runs, True, False
    return 0


def test_the_end_fails_what_is_pending_and_what_comes() -> None:
    caller = Caller()
    pending: list[Any] = [caller.map(2, 1), caller.stream(2, 1)]
    calls: Any = ApplyResult(caller, print, call=Call(square, APPLY))
    caller._scheduler.begin(calls, lambda: None)
    caller._scheduler.end(lambda: ProcessError("over"))
    assert pending[0].ready()
    assert not pending[0].successful()
    assert caller.ended == caller.owed == [calls]
    late = caller.map(2, 1)
    assert late.ready()
    assert not late.successful()
    assert caller._scheduler.is_idle


def test_callbacks_are_told_once_all_has_landed() -> None:
    caller = Caller()
    result: Any = MapResult(caller, 1, 2, print, call=Call(square, EACH))
    caller._scheduler.begin(result, result.submit, [1, 2], [2])
    assert caller.owed == [result]
    for mid, items, _ in caller.desk.messages:
        assert not caller.ended
        caller.desk.reply(mid, 0, list(items))
        caller._scheduler.drain()
    assert caller.ended == [result]
    assert not result.done
    caller._scheduler.finished(result)
    assert result.get(0) == [1, 2]


def test_notes_are_handed_on() -> None:
    caller = Caller()
    error = LostError()
    caller.desk.link(0, 3).ready()
    caller.desk.link(0, 4).failed(error)
    caller.desk.nudge()
    caller._scheduler.drain()
    assert caller.notes == [(3, None), (4, error)]


def test_a_waiter_is_woken_by_an_end_that_comes_from_elsewhere() -> None:
    caller = Caller()
    result = caller.map(1, 1)
    timer = threading.Timer(0.05, caller._scheduler.fail, (result, LostError("from elsewhere")))
    timer.start()
    result.wait(30)
    assert result.ready()
    timer.join()
    assert isinstance(Failed(LostError()).open()[1][0], LostError)


def test_a_job_that_was_broken_off_is_no_trouble_when_its_worker_dies() -> None:
    caller = Caller()
    result: Any = MapResult(caller, 1, 2, call=Call(square, EACH))

    def broken_off(items: Sequence[Any]) -> None:
        caller._scheduler.submit(result, 0, items)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        caller._scheduler.begin(result, broken_off, [1, 2])
    mid, _, _ = caller.desk.messages.popleft()
    caller._scheduler.lose(Claim(mid, 0, runs=True, end=2), lost)
    ((again, items, _),) = caller.desk.messages
    assert items == [2]
    caller.desk.reply(again, 0, [4])
    caller._scheduler.drain()
    assert caller._scheduler.is_idle


def test_what_ends_while_it_is_submitted_is_not_sent() -> None:
    caller = Caller()
    result: Any = MapResult(caller, 2, 4, call=Call(square, EACH))

    def submit() -> None:
        # As another thread does that terminates the pool, in this very moment.
        caller._scheduler.fail(result, ProcessError("terminated"))
        result.submit(list(range(4)), even(range(4), 2))

    caller._scheduler.begin(result, submit)
    assert not caller.desk.messages
    assert not caller._scheduler.flying
    with pytest.raises(ProcessError, match="terminated"):
        result.get(0)
