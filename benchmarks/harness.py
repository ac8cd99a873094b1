"""How a case is measured: contenders in turn, several times over, medians with their spread."""

import os
import platform
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Contender = Callable[[int], float]
"""Measures once, with so many operations, and gives the value in the case's unit."""


@dataclass(frozen=True)
class Case:
    """One question, and everybody who answers it."""

    name: str
    title: str
    unit: str
    operations: int
    contenders: dict[str, Contender]
    floor: str
    """The contender that nobody can beat: the same work with the part in question left out."""
    higher_is_better: bool = False
    target: float | None = None
    """What the first contender must reach."""

    def met(self, value: float) -> bool:
        """Does `value` reach the target?"""
        if self.target is None:
            return True
        return value >= self.target if self.higher_is_better else value < self.target


@dataclass(frozen=True)
class Measured:
    """All values of one contender, in the order in which they were taken."""

    contender: str
    values: list[float]

    @property
    def median(self) -> float:
        """What is reported."""
        return statistics.median(self.values)

    @property
    def spread(self) -> str:
        """Lowest and highest."""
        return f"{number(min(self.values))} to {number(max(self.values))}"


def measure(case: Case, repeats: int, scale: float) -> list[Measured]:
    """Interleaved, so that a slow minute of the machine is shared by all."""
    operations = max(10, int(case.operations * scale))
    values: dict[str, list[float]] = {name: [] for name in case.contenders}
    for _ in range(repeats):
        for name, contender in case.contenders.items():
            values[name].append(contender(operations))
    return [Measured(name, found) for name, found in values.items()]


def report(case: Case, results: list[Measured]) -> Iterator[str]:
    """Lines of a table."""
    yield f"{case.title} ({case.unit}, {'higher' if case.higher_is_better else 'lower'} is better)"
    for result in results:
        note = "floor" if result.contender == case.floor else _verdict(case, result)
        yield f"    {result.contender:28} {number(result.median):>12}   {result.spread:28} {note}".rstrip()


def _verdict(case: Case, result: Measured) -> str:
    if case.target is None or result.contender != next(iter(case.contenders)):
        return ""
    word = "at least" if case.higher_is_better else "under"
    return f"{'met' if case.met(result.median) else 'MISSED'}: {word} {number(case.target)}"


def number(value: float) -> str:
    """Three digits that count, thousands set apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
