"""How many items go with one message."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from procession._flow.shares import HEAVY, MOST, even, shares


@given(st.integers(0, 5000), st.integers(1, 50), st.integers(1, 70))
def test_all_items_in_whole_units_and_never_more_than_a_share(length: int, unit: int, workers: int) -> None:
    lengths = list(shares(range(length), unit, workers))
    assert sum(lengths) == length
    assert all(each % unit == 0 for each in lengths[:-1])
    assert all(0 < each <= max(unit, length / (4 * workers)) for each in lengths)
    assert list(even(range(length), unit)) == [unit] * (length // unit) + [length % unit] * (
        length % unit > 0
    )


def test_the_last_are_short() -> None:
    lengths = list(shares(range(10_000), 1, 2))
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] <= 10_000 // 64
    assert len(lengths) < 60
    assert list(shares(range(8), 1, 2)) == [1] * 8


def test_many_items_are_not_for_more_workers_than_there_are_processors() -> None:
    assert list(shares(range(20_000), 1, 64, lambda: 2)) == list(shares(range(20_000), 1, 2))
    assert list(shares(range(20_000), 1, 64, lambda: 100)) == list(shares(range(20_000), 1, 64))
    # Few may be long, and each is somebody else's.
    assert list(shares(range(512), 1, 64, lambda: 2)) == [1] * 512


def test_what_is_heavy_goes_in_smaller_messages() -> None:
    assert max(shares([bytes(HEAVY // 4)] * 1000, 1, 1)) <= 4
    assert max(shares([bytes(HEAVY)] * 1000, 5, 1)) == 5
    assert max(shares(range(10_000_000), 1, 1)) <= MOST


class Unweighable:
    def __sizeof__(self) -> int:
        raise RuntimeError("deliberate")


def test_weighing_may_fail() -> None:
    items: list[Any] = [Unweighable()] * 100
    assert sum(shares(items, 1, 1)) == 100
