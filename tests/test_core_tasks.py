"""Messages to workers in one native call: which go that way, and what is in them."""

import sys
from typing import Any

import pytest

from procession import _family
from procession._flow.task import APPLY, EACH, STAR
from procession._flow.wire import TASK_END, task_end
from procession.reduction import loads


class Number(int):
    """Pickled by its own class."""


PLAIN = [
    (EACH, [1, 2.5, True, None, "text", b"bytes"]),
    (EACH, (1, 2)),
    (EACH, []),
    (EACH, range(5, 100, 3)),
    (EACH, [b"x" * 300_000]),
    (STAR, [(1, "a"), (), [2]]),
    (APPLY, [((1, "a"), {})]),
    (APPLY, [((), {})]),
]
OTHERS = [
    (EACH, [1, Number(2)]),
    (EACH, [(1,)]),
    (EACH, {1, 2}),
    (STAR, [(1, [2])]),
    (STAR, [1]),
    (STAR, [iter("ab")]),
    (APPLY, [((1,), {"key": 2})]),
    (APPLY, [([1], {})]),
    (APPLY, [((Number(1),), {})]),
    (APPLY, [3]),
]


@pytest.mark.parametrize(("mode", "items"), PLAIN)
def test_plain_items_go(mode: int, items: Any) -> None:
    ring = _family.Ring()
    assert ring.put_task(7, -1, b"name", 3, mode, items)
    data = bytes(ring.take(False))
    assert loads(data) == items
    assert type(loads(data)) is type(items)
    assert task_end(data) == (7, -1, len(b"name"), 3, mode, 0)
    assert data[: -TASK_END.size].endswith(b"name")


def test_numbers_may_be_as_large_as_those_of_the_interpreter() -> None:
    ring = _family.Ring()
    assert ring.put_task(2**64 - 1, -(2**63), b"", sys.maxsize, EACH, [1])
    assert task_end(ring.take(False)) == (2**64 - 1, -(2**63), 0, sys.maxsize, EACH, 0)


@pytest.mark.parametrize(("mode", "items"), OTHERS)
def test_others_do_not(mode: int, items: Any) -> None:
    ring = _family.Ring()
    assert not ring.put_task(7, 1, b"", 0, mode, items)
    assert ring.qsize() == 0


def test_nonsense_is_refused() -> None:
    ring: Any = _family.Ring()
    for wrong in [(-1, 1, b"", 0, EACH, []), (1, 1, "", 0, EACH, []), (1, 1, b"", -1, EACH, [])]:
        with pytest.raises((OverflowError, TypeError)):
            ring.put_task(*wrong)
    assert ring.qsize() == 0
