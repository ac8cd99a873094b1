"""Results as text."""

from collections.abc import Iterator

from .harness import FLOOR, OURS, Case, Measured, best_peer, verdicts


def lines(case: Case, results: list[Measured]) -> Iterator[str]:
    """A case's block: a line a contender, the floor last, then the verdicts."""
    ours = next((found.median for found in results if found.contender == OURS), None)
    yield f"{case.title}  [{case.name}]"
    for found in results:
        ratio = f"{found.median / ours:8.2f}x" if ours and found.contender != OURS else " " * 9
        low, high = value(min(found.values), case.unit), value(max(found.values), case.unit)
        yield f"    {found.contender:20} {value(found.median, case.unit):>10} {ratio}   {low} to {high}"
    for verdict in verdicts(case, results):
        word = "met   " if verdict.met else "MISSED"
        if verdict.against:
            yield f"    {word} {verdict.found:.2f}x of {verdict.against}, wanted {verdict.wanted:.2f}x"
        else:
            yield f"    {word} at most {verdict.wanted:g} {case.unit}"


def markdown(measured: list[tuple[Case, list[Measured]]]) -> Iterator[str]:
    """The table for people: ours, the best peer, the floor and the ratio."""
    yield "| case | procession | best peer | floor | ratio |"
    yield "| --- | --- | --- | --- | --- |"
    for case, results in measured:
        medians = {found.contender: found.median for found in results}
        best = best_peer(case, results)
        if OURS not in medians or best is None:
            continue
        floor = value(medians[FLOOR], case.unit) if FLOOR in medians else ""
        peer = f"{value(best.median, case.unit)} ({best.contender})"
        ratio = best.median / medians[OURS]
        yield f"| {case.title} | {value(medians[OURS], case.unit)} | {peer} | {floor} | {ratio:.1f}x |"


def value(found: float, unit: str) -> str:
    """Three digits that count; seconds in their natural multiple."""
    if unit != "s":
        return f"{found:.3g} {unit}"
    for size, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if found >= size:
            return f"{found / size:.3g} {name}"
    return f"{found * 1e9:.3g} ns"
