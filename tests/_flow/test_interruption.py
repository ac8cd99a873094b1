"""A signal handler may raise at any step, or use the pool: nothing is lost, comes twice, or hangs.

The interpreter runs signal handlers after calls, at the begin of functions and at the end of a loop's
round.  These tests raise at each such point within the package in turn, by tracing, while answers are
worked off; then they ask again.  Or they work off there what has come.
"""

import dis
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import FrameType
from typing import Any

import pytest

from procession._flow.channel import RESULTS, UNREAD, Claim
from procession._flow.feed import Feed
from procession._flow.future import ApplyResult, MapResult
from procession._flow.scheduler import Scheduler
from procession._flow.shares import even
from procession._flow.stream import IMapIterator, Stream
from procession._flow.task import APPLY, EACH, Call
from procession._flow.thread_channel import ThreadChannel

POINTS = {"CALL", "CALL_FUNCTION_EX", "CALL_KW", "RESUME", "JUMP_BACKWARD"}
ROOM = "procession._flow."


class AlarmError(BaseException):
    """Like Ctrl-C: an ordinary error raised while arguments are pickled is taken for one of theirs."""


class PromptChannel(ThreadChannel):
    """Has the answer as soon as a message is sent, in two parts where it is long enough."""

    def send(self, mid: int, call: Call, items: Sequence[Any], index: int) -> None:
        values = [call.function(*item[0]) if call.mode == APPLY else call.function(item) for item in items]
        half = len(values) // 2
        for first, part in ((0, values[:half]), (half, values[half:])):
            if part:
                self._answers.put((mid, first, len(part), RESULTS, (part, {})))


class HeldChannel(PromptChannel):
    """Its worker holds the first message, having begun its first two items, until the rest is cut off."""

    held: Sequence[Any] | None = None

    def send(self, mid: int, call: Call, items: Sequence[Any], index: int) -> None:
        if self.held is None:
            self.held = items
        else:
            super().send(mid, call, items, index)

    def claim(self, slot: int) -> Claim | None:
        return Claim(1, 1, runs=True, end=10) if self.held else None

    def cut(self, cuts: Any, wanted: Any) -> None:
        assert wanted == [(0, 1, 1)]
        super().send(1, Call(double, EACH), (self.held or ())[:2], 0)
        self.held = ()
        cuts.append((1, 2, 10))


class CountingChannel(HeldChannel):
    """Counts what it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Any] = []

    def send(self, mid: int, call: Call, items: Sequence[Any], index: int) -> None:
        if self.held is not None:
            self.sent.extend(items)
        super().send(mid, call, items, index)

    def cut(self, cuts: Any, wanted: Any) -> None:
        self.sent.extend((self.held or ())[:2])
        super().cut(cuts, wanted)


class PiecemealChannel(ThreadChannel):
    """Has the answers as soon as a message is sent, one by one."""

    def send(self, mid: int, call: Call, items: Sequence[Any], index: int) -> None:
        for number, item in enumerate(items):
            self._answers.put((mid, number, 1, RESULTS, ([call.function(item)], {})))


class UnreadChannel(PromptChannel):
    """Its worker cannot read the first message, which has more than one item."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Any] = []

    def send(self, mid: int, call: Call, items: Sequence[Any], index: int) -> None:
        self.sent.append(list(items))
        if len(items) > 1:
            self._answers.put((mid, 0, 0, UNREAD, ([None], {0: LookupError()})))
        else:
            super().send(mid, call, items, index)


class NoCallbacks:
    def owe(self, job: Any) -> None:
        raise AssertionError

    due = owe


class Stand:
    """In the place of a pool."""

    def __init__(self, channel: ThreadChannel | None = None) -> None:
        self._scheduler = Scheduler(channel or PromptChannel(), NoCallbacks(), lambda *_: None)

    def check(self) -> None:
        scheduler = self._scheduler
        scheduler.drain()
        assert not scheduler.flying
        assert not scheduler.jobs
        assert not scheduler.feeds
        assert scheduler.is_idle


def alarm() -> None:
    raise AlarmError


def interrupted(number: int, work: Callable[[], Any], handler: Callable[[], Any] = alarm) -> bool:
    """Run `work`, with `handler` called at its so many-th point; False if it has fewer."""
    left = number
    fired = False

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left, fired
        if not frame.f_globals["__name__"].startswith(ROOM):
            return None
        frame.f_trace_opcodes = True
        before = 0

        def opcodes(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left, fired, before
            if event == "opcode":
                name = dis.opname[frame.f_code.co_code[before]]
                before = frame.f_lasti
                left -= name in POINTS
                if left < 0 and not fired:
                    fired = True
                    handler()
            return opcodes

        return opcodes

    sys.settrace(trace)
    try:
        work()
    except AlarmError:
        pass
    finally:
        sys.settrace(None)
    return fired


def points(prepare: Callable[[], tuple[Callable[[], Any], Callable[[], None]]]) -> int:
    """Interrupt at every point in turn; `prepare` gives the work and the check after it."""
    # In a thread of its own, since a tracer that raises may leave the interpreter in the belief that
    # some exception is still being handled.
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(_points, prepare).result()


def _points(prepare: Callable[[], tuple[Callable[[], Any], Callable[[], None]]]) -> int:
    # Python 3.12 reports no single steps of code that it runs for the first time under a tracer.
    interrupted(1_000_000, prepare()[0])
    number = 0
    while True:
        work, check = prepare()
        fired = interrupted(number, work)
        try:
            check()
        except BaseException as error:
            raise AssertionError(f"after an interruption at point {number}") from error
        if not fired:
            return number
        number += 1


def double(x: int) -> int:
    return 2 * x


def test_getting_a_map() -> None:
    def prepare() -> Any:
        stand = Stand()
        result: Any = MapResult(stand, 4, 10, call=Call(double, EACH))
        stand._scheduler.begin(result, result.submit, list(range(10)), even(range(10), 4))

        def check() -> None:
            assert result.get(10) == [2 * i for i in range(10)]
            stand.check()

        return lambda: result.get(10), check

    assert points(prepare) > 20


def test_sharing_what_a_worker_has_not_begun() -> None:
    def prepare() -> Any:
        stand = Stand(HeldChannel())
        result: Any = MapResult(stand, 1, 10, call=Call(double, EACH))
        stand._scheduler.begin(result, result.submit, list(range(10)), [10])

        def check() -> None:
            assert result.get(10) == [2 * i for i in range(10)]
            stand.check()

        return lambda: result.get(10), check

    assert points(prepare) > 50


def test_a_handler_that_asks_while_answers_are_worked_off() -> None:
    number = 0
    fired = True
    while fired:
        stand = Stand(PiecemealChannel())
        result: Any = MapResult(stand, 10, 10, call=Call(double, EACH))
        stand._scheduler.begin(result, result.submit, list(range(10)), [10])
        fired = interrupted(number, partial(result.get, 10), partial(stand._scheduler.drain, 2))
        assert result.get(10) == [2 * i for i in range(10)], f"at point {number}"
        stand.check()
        number += 1
    assert number > 50


def test_a_handler_that_asks_while_a_message_is_cut() -> None:
    number = 0
    fired = True
    while fired:
        stand = Stand(channel := CountingChannel())
        result: Any = MapResult(stand, 1, 10, call=Call(double, EACH))
        stand._scheduler.begin(result, result.submit, list(range(10)), [10])
        fired = interrupted(number, partial(result.get, 10), stand._scheduler.drain)
        assert result.get(10) == [2 * i for i in range(10)], f"at point {number}"
        assert sorted(channel.sent) == list(range(10)), f"at point {number}"
        stand.check()
        number += 1
    assert number > 50


def test_getting_one_of_many() -> None:
    def prepare() -> Any:
        stand = Stand()
        results: list[Any] = [ApplyResult(stand, call=Call(double, APPLY)) for _ in range(5)]
        for number, result in enumerate(results):
            stand._scheduler.begin(result, stand._scheduler.submit, result, 0, [((number,), {})])

        def check() -> None:
            assert [result.get(10) for result in reversed(results)] == [8, 6, 4, 2, 0]
            stand.check()

        return lambda: results[3].get(10), check

    assert points(prepare) > 20


def test_submitting() -> None:
    def prepare() -> Any:
        stand = Stand()
        scheduler = stand._scheduler

        def work() -> None:
            result: Any = MapResult(stand, 4, 10, call=Call(double, EACH))
            scheduler.begin(result, result.submit, list(range(10)), even(range(10), 4))
            one: Any = ApplyResult(stand, call=Call(double, APPLY))
            scheduler.begin(one, scheduler.submit, one, 0, [((1,), {})])

        return work, stand.check

    assert points(prepare) > 20


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("chunksize", [1, 3])
def test_iterating(ordered: bool, chunksize: int) -> None:
    expected = [2 * i for i in range(8)]

    def prepare() -> Any:
        stand = Stand()
        stream = Stream(stand, Call(double, EACH), ordered=ordered)
        feed = Feed(stand._scheduler, stream, chunksize, 1)
        feed._ahead = 2 * chunksize
        stand._scheduler.begin(stream, feed.begin, list(range(8)))
        results = IMapIterator(stream, feed.refill, lambda: None)
        found: list[int] = []

        def work() -> None:
            found.extend(results)

        def check() -> None:
            found.extend(results)
            assert (found if ordered else sorted(found)) == expected
            stand.check()

        return work, check

    assert points(prepare) > 20


def test_sending_the_parts_of_a_message() -> None:
    def prepare() -> Any:
        stand = Stand(UnreadChannel())
        stream = Stream(stand, Call(double, EACH), ordered=False)
        feed = Feed(stand._scheduler, stream, 4, 1)
        stand._scheduler.begin(stream, feed.begin, list(range(4)))
        results = IMapIterator(stream, feed.refill, lambda: None)
        found: list[int] = []

        def work() -> None:
            found.extend(results)

        def check() -> None:
            found.extend(results)
            assert sorted(found) == [0, 2, 4, 6]
            stand.check()

        return work, check

    assert points(prepare) > 50


def test_a_part_that_was_sent_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand(channel := UnreadChannel())
    scheduler = stand._scheduler
    launch, left = scheduler._launch, [AlarmError, AlarmError]

    def launch_and_raise(flight: Any) -> None:
        launch(flight)
        if len(channel.sent) > 1 and left:
            # As a handler would that runs right after it.
            raise left.pop()

    monkeypatch.setattr(scheduler, "_launch", launch_and_raise)
    stream = Stream(stand, Call(double, EACH), ordered=False)
    feed = Feed(scheduler, stream, 4, 1)
    scheduler.begin(stream, feed.begin, list(range(4)))
    results = IMapIterator(stream, feed.refill, lambda: None)
    for _ in range(2):
        with pytest.raises(AlarmError):
            next(results)
    assert sorted(results) == [0, 2, 4, 6]
    assert channel.sent == [[0, 1, 2, 3], [0], [1], [2], [3]]
    stand.check()


def test_beginning_to_iterate() -> None:
    def prepare() -> Any:
        stand = Stand()

        def work() -> None:
            stream = Stream(stand, Call(double, EACH), ordered=True)
            feed = Feed(stand._scheduler, stream, 2, 1)
            stand._scheduler.begin(stream, feed.begin, list(range(8)))

        return work, stand.check

    assert points(prepare) > 20
