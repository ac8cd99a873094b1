"""Several threads receive from one channel: every answer comes once, in the order in which it was given."""

import gc
import threading
from collections import deque
from typing import Any

from procession._flow.ring_channel import RingChannel

ANSWERS = 6000


def test_answers_reach_the_inbox_in_their_order_whoever_receives() -> None:
    channel = RingChannel(1)
    link: Any = channel.link(0, 0)
    inbox: deque[Any] = deque()

    def receive() -> None:
        while sum(len(answers) for answers, _ in tuple(inbox)) < ANSWERS:
            channel.receive(inbox, 0.05)

    threads = [threading.Thread(target=receive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(ANSWERS):
        # Long enough that chunks of the ring are left behind all the time.
        link.answer(1, number, [b"x" * (number % 7 * 500)], {})
    for thread in threads:
        thread.join()
    assert [answer[1] for answers, _ in inbox for answer in answers] == list(range(ANSWERS))
    channel.close()


def test_finalizers_that_receive_do_so_before_or_after_but_not_in_the_midst_of_it() -> None:
    channel = RingChannel(1)
    link: Any = channel.link(0, 0)
    inbox: deque[Any] = deque()
    # Each by itself: they do not follow one another.
    expected = list(range(0, 4000, 2))
    for number in expected:
        link.answer(1, number, [number], {})

    class Greedy:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            channel.receive(inbox, 0)

    # Or the interpreter makes answers of tuples that it has left over, and does not count them.
    tuples = [(number, 0, 0, 0, None) for number in range(5000)]
    before = gc.get_threshold()
    try:
        while channel.backlog():
            # So many objects later: when some of a batch are there.
            gc.set_threshold(max(channel._most[0] // 4, 3))
            Greedy()
            channel.receive(inbox, 0)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert gc.isenabled()
    del tuples
    assert [answer[1] for answers, _ in inbox for answer in answers] == expected
    channel.close()
