"""The consumer's side of imap, apart from processes."""

from collections import Counter
from typing import Any

import pytest

from procession._flow.stream import IMapIterator, Stream
from procession._flow.task import EACH, Call
from tests._flow.test_interruption import Stand, double


class Watched(dict[int, Any]):
    """Counts the entries that are looked at."""

    def __init__(self) -> None:
        self.looks: Counter[str] = Counter()

    def __contains__(self, key: object) -> bool:
        self.looks["contains"] += 1
        return super().__contains__(key)

    def __getitem__(self, key: int) -> Any:
        self.looks["getitem"] += 1
        return super().__getitem__(key)

    def get(self, key: int, default: Any = None) -> Any:
        self.looks["get"] += 1
        return super().get(key, default)

    def copy(self) -> dict[int, Any]:
        self.looks["copy"] += len(self)
        return super().copy()


@pytest.mark.parametrize("ordered", [True, False])
def test_answers_that_lie_there_cost_nothing(ordered: bool) -> None:
    stand = Stand()
    stream = Stream(stand, Call(double, EACH), ordered=ordered)
    stream._answers = watched = Watched()

    def submit() -> None:
        for number in range(5000):
            stand._scheduler.submit(stream, number, [number])
        stream.seal(5000, None)

    stand._scheduler.begin(stream, submit)
    stand._scheduler.drain(10_000)
    assert len(watched) == 5000
    results = IMapIterator(stream, lambda: None, lambda: None)
    assert list(results) == [2 * i for i in range(5000)]
    # A few for each, however many there are.
    assert watched.looks.total() < 5 * 5000
    stand.check()
