"""What becomes of a message that its worker will not finish: which items fail, which are sent again.

The item that the worker ran fails, and the rest of the message is sent again.  Where it had not begun
any, the message is sent again once, then all of it fails: reading it seems to be what kills.  Where it
was answering several items, pickling the result of one may be what kills: each is sent again by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from .channel import Claim
from .job import Flight
from .shares import shares


def doomed(flight: Flight, claim: Claim) -> range:
    """The items that fail."""
    if not claim.runs:
        return range(flight.done, flight.end) if flight.unread else range(0)
    if claim.answers and flight.done < claim.begun:
        return range(0)
    # Else it was answered already: the worker died between that and the next item.
    return range(claim.begun, claim.begun + 1) if flight.done <= claim.begun < flight.end else range(0)


def remains(flight: Flight, claim: Claim) -> Iterator[Flight]:
    """Messages with the other items that are not answered."""
    lost = doomed(flight, claim)
    if not lost and claim.answers:
        yield from singly(flight, flight.done, claim.begun + 1)
        yield from _parts(flight, max(flight.done, claim.begun + 1), flight.end)
    elif not lost:
        yield from _parts(flight, flight.done, flight.end, unread=0 if claim.runs else 1)
    elif claim.runs:
        yield from _parts(flight, flight.done, lost.start)
        yield from _parts(flight, lost.stop, flight.end)


def singly(flight: Flight, first: int, end: int) -> Iterator[Flight]:
    """A message for each of the items."""
    for number in range(first, end):
        yield flight.part(number, number + 1, flight.unread)


def pieces(flight: Flight, workers: int) -> Iterator[Flight]:
    """Messages with all the items, as for a job of its own."""
    first = 0
    for length in shares(flight.items, flight.call.unit, workers):
        yield flight.part(first, first + length, flight.unread)
        first += length


def _parts(flight: Flight, first: int, end: int, unread: int = 0) -> Iterator[Flight]:
    if first < end:
        yield flight.part(first, end, unread)
