"""Queues: an item is got at most once, and lost only if its taker died."""

import queue
import time
from itertools import count
from typing import Any

from procession.sharedctypes import RawArray

from .crew import Crew
from .tally import Tally

PUTTERS = 4000
"""Putters that there may ever be."""
ITEMS = 400
"""Items that each puts at most, before it ends."""
PENDING = 100
"""Items in the queue at most."""

PAD = [b"", bytes(300), bytes(20_000)]


def put(over: Any, items: Any, accepted: Any, number: int) -> None:
    """Put items; `accepted` tells how many of ours were."""
    for item in range(ITEMS):
        while True:
            try:
                items.put((number, item, PAD[item % 3]), timeout=0.2)
                break
            except queue.Full:
                if over.is_set():
                    return
        accepted[number] = item + 1
        if over.is_set():
            return


def get(over: Any, items: Any, got: Any, number: int) -> None:
    """Get items; `got` tells how often each was."""
    while not over.is_set():
        try:
            putter, item, _ = items.get(timeout=0.2)
        except queue.Empty:
            continue
        got[putter * ITEMS + item] += 1


class Queues:
    """Some putters and some getters of one queue."""

    def __init__(self, ctx: Any, tally: Tally) -> None:
        self._tally = tally
        self._items = ctx.Queue(PENDING)
        self._accepted = RawArray("i", PUTTERS)
        self._got = RawArray("B", PUTTERS * ITEMS)
        self._putters = Crew(ctx, tally, "putter", 2, put_in_turn, self._items, self._accepted)
        self._getters = Crew(ctx, tally, "getter", 2, get, self._items, self._got)

    def start(self) -> None:
        """Begin."""
        self._putters.start()
        self._getters.start()

    def stop(self) -> None:
        """End, take what is left, and look at each item."""
        with self._tally.unforeseen("queue"):
            self._putters.stop()
            self._getters.stop()
            self._drain()
            self._look()
            self._items.close()

    def _drain(self) -> None:
        while True:
            try:
                putter, item, pad = self._items.get(timeout=0.5)
            except queue.Empty:
                break
            self._tally.expect(pad == PAD[item % 3], f"item {putter}, {item} is damaged")
            self._got[putter * ITEMS + item] += 1
        self._tally.expect(self._items.qsize() == 0, f"an empty queue of {self._items.qsize()} items")

    def _look(self) -> None:
        lost = 0
        got = bytes(self._got)
        for putter, accepted in enumerate(self._accepted):
            mine = got[putter * ITEMS : (putter + 1) * ITEMS]
            lost += mine[:accepted].count(0)
            self._tally.expect(not any(mine[accepted + 1 :]), f"items of putter {putter} out of nowhere")
            self._tally.expect(max(mine) <= 1, f"items of putter {putter} got twice")
        self._tally.count("items put", sum(self._accepted))
        self._tally.count("items got", sum(got))
        self._tally.count("items lost", lost)
        killed = self._getters.killed
        self._tally.expect(lost <= killed, f"{lost} items lost, {killed} getters killed")


def put_in_turn(over: Any, items: Any, accepted: Any, number: int) -> None:
    """As :func:`put`, unless there were too many putters already: then at leisure, nothing."""
    if number < PUTTERS:
        put(over, items, accepted, number)
        return
    for _ in count():
        if over.is_set():
            return
        time.sleep(0.05)
