"""What is made of the figures."""

import pytest

from benchmarks.harness import BEST, FLOOR, OURS, Case, Measured, best_peer, verdicts
from benchmarks.table import lines, markdown, value


def nobody(_: int) -> float:
    return 0.0


CASE = Case(
    "case",
    "a case",
    {OURS: nobody, "slow": nobody, "fast": nobody, FLOOR: nobody},
    targets={BEST: 4, "slow": 6},
    limit=2.5,
)
RESULTS = [
    Measured(OURS, [2.0, 1.0, 3.0]),
    Measured("slow", [10.0, 11.0, 12.0]),
    Measured("fast", [9.0, 7.0, 8.0]),
    Measured(FLOOR, [0.5]),
]


def test_the_best_peer_is_the_fastest_of_the_others() -> None:
    best = best_peer(CASE, RESULTS)
    assert best is not None
    assert (best.contender, best.median) == ("fast", 8.0)


def test_verdicts() -> None:
    found = [(verdict.against, verdict.found, verdict.met) for verdict in verdicts(CASE, RESULTS)]
    assert found == [(BEST, 4.0, True), ("slow", 5.5, False), ("", 2.0, True)]


def test_who_was_not_measured_gives_no_verdict() -> None:
    assert verdicts(CASE, RESULTS[1:]) == []
    assert [verdict.against for verdict in verdicts(CASE, RESULTS[:1])] == [""]


def test_what_is_printed() -> None:
    text = "\n".join(lines(CASE, RESULTS))
    assert "slow                       11 s     5.50x   10 s to 12 s" in text
    assert "MISSED 5.50x of slow, wanted 6.00x" in text
    assert "met    4.00x of best peer, wanted 4.00x" in text
    *_, row = markdown([(CASE, RESULTS)])
    assert row == "| a case | 2 s | 8 s (fast) | 500 ms | 4.0x |"


@pytest.mark.parametrize(
    ("found", "unit", "text"),
    [
        (2.0, "s", "2 s"),
        (0.0123, "s", "12.3 ms"),
        (4.567e-6, "s", "4.57 µs"),
        (5e-8, "s", "50 ns"),
        (1.5, "x", "1.5 x"),
    ],
)
def test_values(found: float, unit: str, text: str) -> None:
    assert value(found, unit) == text
