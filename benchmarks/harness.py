"""What a case is, and how its figures are taken together."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Contender = Callable[[int], float]
"""Measures once, with so many operations; gives seconds an operation (or the case's own unit)."""

OURS = "procession"
FLOOR = "floor"
BEST = "best peer"


@dataclass(frozen=True)
class Case:
    """One question, and everybody who answers it; less is better."""

    name: str
    title: str
    contenders: Mapping[str, Contender]
    """By name: `OURS`, each peer's, and `FLOOR`: what the work costs without any library."""
    operations: int = 1
    unit: str = "s"
    """Seconds are shown as µs, ms or s; any other unit as it is."""
    targets: Mapping[str, float] = field(default_factory=dict)
    """How many times faster than this peer, or than `BEST`, procession is to be."""
    limit: float | None = None
    """The most that procession's own value may be."""

    def peers(self) -> list[str]:
        """All but us and the floor."""
        return [name for name in self.contenders if name not in {OURS, FLOOR}]


@dataclass(frozen=True)
class Measured:
    """All values of one contender, in the order in which they were taken."""

    contender: str
    values: list[float]

    @property
    def median(self) -> float:
        """What is reported."""
        return statistics.median(self.values)


@dataclass(frozen=True)
class Verdict:
    """One demand on a case, and what came of it."""

    against: str
    wanted: float
    found: float
    met: bool


def best_peer(case: Case, results: list[Measured]) -> Measured | None:
    """The fastest of the others, by median."""
    peers = [found for found in results if found.contender in case.peers()]
    return min(peers, key=lambda found: found.median, default=None)


def verdicts(case: Case, results: list[Measured]) -> list[Verdict]:
    """Each of the case's demands held against what was measured."""
    medians = {found.contender: found.median for found in results}
    if OURS not in medians:
        return []
    if best := best_peer(case, results):
        medians[BEST] = best.median
    ours = medians[OURS]
    found = [
        Verdict(peer, wanted, medians[peer] / ours, medians[peer] / ours >= wanted)
        for peer, wanted in case.targets.items()
        if peer in medians
    ]
    if case.limit is not None:
        found.append(Verdict("", case.limit, ours, ours <= case.limit))
    return found
