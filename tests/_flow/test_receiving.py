"""Several threads receive from one channel: every answer comes once, in the order in which it was given."""

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
