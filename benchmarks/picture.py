"""The picture in the README: how many times faster than the best peer, on a log scale."""

from pathlib import Path

from .harness import OURS, Case, Measured, best_peer


def draw(path: Path, measured: list[tuple[Case, list[Measured]]]) -> None:
    """Bars, longest first; those shorter than 1 are in the picture too, in another colour."""
    import matplotlib as mpl

    mpl.use("svg")
    # The same figures give the same file.
    mpl.rcParams["svg.hashsalt"] = "procession"
    from matplotlib import pyplot as plt

    ratios = sorted(ratio(case, results) for case, results in measured if compared(case, results))
    names, values = [name for _, name in ratios], [value for value, _ in ratios]
    figure, axes = plt.subplots(figsize=(9, 0.3 * len(ratios) + 1))
    bars = axes.barh(names, values, color=["#2f6f8f" if value >= 1 else "#b5523b" for value in values])
    axes.bar_label(bars, [f"{value:.1f}x" for value in values], padding=3, fontsize=8)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times as fast as the fastest of the others")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    print(f"drawn to {path}")


def compared(case: Case, results: list[Measured]) -> bool:
    """Is there somebody to be compared with?"""
    return best_peer(case, results) is not None and any(found.contender == OURS for found in results)


def ratio(case: Case, results: list[Measured]) -> tuple[float, str]:
    """Times as fast, and the label."""
    best = best_peer(case, results)
    assert best is not None
    ours = next(found.median for found in results if found.contender == OURS)
    return best.median / ours, f"{case.title} ({best.contender})"
