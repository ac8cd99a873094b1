"""From the busy to the idle: what workers hold and have not begun, while others have nothing to take."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from time import monotonic

from .channel import Channel, Claim, Cut
from .job import Flight

PAUSE = 0.002
"""Seconds from one look whether there is something to cut to the next, where there was; at first."""
LONG_PAUSE = 0.01
"""The same at most, however often there was not."""


class Sharing:
    """Looks, and cuts off, what `workers` workers hold of the messages in `flying`.

    `pause`: seconds to the next look, where nothing comes before.
    """

    def __init__(self, channel: Channel, flying: dict[int, Flight], workers: int) -> None:
        self._channel = channel
        self._flying = flying
        self._workers = workers
        self._seen: dict[int, Claim] = {}
        self.pause = self._next_look = math.inf

    def expect(self) -> None:
        """A message that can be cut is about to be sent."""
        if self._next_look == math.inf:
            self.pause, self._next_look = PAUSE, monotonic() + PAUSE

    def share(self, cuts: deque[Cut]) -> bool:
        """If it is time, cut off what a worker has not begun, and append that to `cuts`.

        Where others have nothing to take, or a worker is at one item long.  True if there was something.
        """
        if monotonic() <= self._next_look:
            return False
        drained = self._channel.is_drained()
        seen, self._seen = self._seen, {}
        wanted = [want for slot in range(self._workers) for want in self._wanted(slot, drained, seen)]
        if wanted:
            self._channel.cut(cuts, wanted)
            self.pause, self._next_look = PAUSE, monotonic() + PAUSE
            return True
        pause = min(2 * self.pause, LONG_PAUSE)
        # Until a long one is sent, which may be in this very moment: so first this, then a look.
        self.pause = self._next_look = math.inf
        if not drained or any(flight.is_long for flight in tuple(self._flying.values())):
            self.pause, self._next_look = pause, monotonic() + pause
        return False

    def _wanted(self, slot: int, drained: bool, seen: dict[int, Claim]) -> Iterable[tuple[int, int, int]]:
        claim = self._channel.claim(slot)
        flight = None if claim is None else self._flying.get(claim.mid)
        if claim is None or flight is None:
            return
        self._seen[slot] = claim
        unit = flight.call.unit
        if claim.runs and claim.begun + 1 + unit <= claim.end and (drained or seen.get(slot) == claim):
            yield slot, claim.mid, unit
