"""How far the input of imap is read ahead, apart from processes."""

from procession._flow.feed import AHEAD, Feed
from procession._flow.stream import Stream
from procession._flow.task import EACH, Call
from procession._flow.thread_channel import ThreadChannel
from tests._flow.test_interruption import Stand, double


def test_messages_on_the_way_stay_few_while_they_grow() -> None:
    # Nobody answers.
    stand = Stand(ThreadChannel())
    stream = Stream(stand, Call(double, EACH), ordered=True)
    feed = Feed(stand._scheduler, stream, 1, 2)
    stand._scheduler.begin(stream, feed.begin, list(range(5000)))
    assert stream.on_the_way == AHEAD
    feed._units, feed._ahead = 8, AHEAD * 8
    feed.refill()
    assert stream.on_the_way == AHEAD
