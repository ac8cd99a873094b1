"""How many items go with one message: many at first, fewer and fewer towards the end.

A message costs some microseconds wherever it goes, so short tasks travel together.  Every message has
no more than a worker's small share of what is left: the last ones are short, and nobody waits for
somebody's long last message.  Where tasks differ more than that evens out, or wait for something while
workers have nothing to do, the scheduler cuts off what a busy worker has not begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from sys import getsizeof
from typing import Any

PARTS = 8
"""A message has at most this part of a worker's share of what is left."""
LEAST = 32
"""And no less than this part of a worker's share of all: the last ones are not for a single item each,
whose way would cost more than they do.  Long ones can still be cut off."""
HEAVY = 1 << 16
"""Bytes of a message above which it costs the same to send two."""
MOST = 1 << 16
"""Most items of a message of more than one unit."""


def shares(
    items: Sequence[Any], unit: int, workers: int, processors: Callable[[], int] | None = None
) -> Iterator[int]:
    """Lengths of messages for `items`, in whole units but for the last.

    Many items go to no more workers at first than there are `processors`, asked for only then.
    """
    place, length = 0, len(items)
    if processors is not None and length > unit * workers * PARTS:
        workers = min(workers, processors())
    least = length // (unit * workers * LEAST)
    while place < length:
        units = max((length - place) // (unit * workers * PARTS), least)
        if units > 1:
            # An item may weigh more than this shows, and never less.
            units = min(units, max(HEAVY // _weight(items[place]), 1) // unit, MOST // unit)
        size = min(max(units, 1) * unit, length - place)
        yield size
        place += size


def even(items: Sequence[Any], unit: int) -> Iterator[int]:
    """The same, a unit each."""
    full, rest = divmod(len(items), unit)
    yield from repeat(unit, full)
    if rest:
        yield rest


def _weight(item: Any) -> int:
    try:
        return getsizeof(item)
    except Exception:  # noqa: BLE001 - somebody else's __sizeof__; it will be heard of where it matters
        return HEAVY
