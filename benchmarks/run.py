"""Measure: ``python -m benchmarks.run [CASE ...]``; every case if none is named.

Each measurement is a process of its own, contenders in turn, several times over.  Prints tables,
writes benchmarks/results/TIME.json and the picture benchmarks/ratios.svg.  A contender that is not
installed, fails or takes too long is named, and left out of its case.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools import peers
from tools.paths import PACKAGE, ROOT

from . import core, table
from .cases import CASES
from .harness import OURS, Case, Measured, verdicts
from .machine import machine

LIMIT = 120.0
"""Seconds for one measurement."""
SLOW = 8.0
"""Who takes longer is measured once."""


def measure(case: Case, repeats: int, scale: float) -> list[Measured]:
    """Interleaved, so that a slow minute of the machine is shared by all."""
    operations = max(1, int(case.operations * scale))
    values: dict[str, list[float]] = {name: [] for name in case.contenders if peers.here(name)}
    out: set[str] = set()
    for turn in range(repeats):
        for name, found in values.items():
            if name in out:
                continue
            begin = time.perf_counter()
            value = once(case.name, name, operations)
            if value is not None:
                found.append(value)
            if value is None or (turn == 0 and time.perf_counter() - begin > SLOW):
                out.add(name)
    return [Measured(name, found) for name, found in values.items() if found]


def once(case: str, contender: str, operations: int) -> float | None:
    """The value, or None and a line that says why there is none."""
    command = [sys.executable, "-m", "benchmarks.one", case, contender, str(operations)]
    group = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=-1, stderr=-1, text=True, start_new_session=True
    )
    try:
        out, said = group.communicate(timeout=LIMIT)
        return float(out)
    except subprocess.TimeoutExpired:
        said = f"no answer in {LIMIT:g} s"
    except ValueError:
        said = (said.strip() or "no answer").splitlines()[-1]
    finally:
        _end(group)
    print(f"    {case}: {contender} is left out: {said}", flush=True)
    return None


def _end(group: subprocess.Popen[str]) -> None:
    """What a library left running would be in the way of the next."""
    with suppress(ProcessLookupError):
        os.killpg(group.pid, signal.SIGKILL)
    group.communicate()


def environment() -> dict[str, str]:
    """Where the package and its peers are found, by children too; modules are compiled, as with users."""
    path = os.pathsep.join(map(str, (PACKAGE.parent, ROOT, peers.FOLDER)))
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return inherited | {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=__doc__)
    parser.add_argument("case", nargs="*", help=f"of {', '.join(case.name for case in CASES)}")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of each contender")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the number of operations")
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--picture", type=Path, help="where to draw the ratios (needs all cases)")
    found = parser.parse_args()
    if unknown := set(found.case) - {case.name for case in CASES}:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    return found


def main() -> None:
    """Measure, print, write, draw."""
    chosen = options()
    facts = machine(peers.versions())
    print("  ".join(f"{name}: {fact}" for name, fact in facts.items()), flush=True)
    rust = [] if chosen.case else core.figures()
    print("\n".join(["", *rust]), flush=True)
    measured = []
    for case in CASES:
        if chosen.case and case.name not in chosen.case:
            continue
        results = measure(case, chosen.repeats, chosen.scale)
        print("\n".join([*table.lines(case, results), ""]), flush=True)
        measured.append((case, results))
    print("\n".join(table.markdown(measured)))
    print("\n" + count(measured))
    write(chosen.json, facts, rust, measured)
    if chosen.picture:
        from .picture import draw

        sys.path.append(str(peers.FOLDER))
        draw(chosen.picture, measured)


def count(measured: list[tuple[Case, list[Measured]]]) -> str:
    """How many demands were met, and the cases of those that were not."""
    found = [(case.name, verdict.met) for case, results in measured for verdict in verdicts(case, results)]
    missed = [name for name, met in found if not met]
    silent = [case.name for case, results in measured if OURS not in {one.contender for one in results}]
    text = f"{len(found) - len(missed)} of {len(found)} demands met"
    text += f"; missed: {', '.join(missed)}" if missed else ""
    return text + (f"; procession gave no value: {', '.join(silent)}" if silent else "")


def write(path: Path | None, facts: dict[str, Any], rust: list[str], measured: Any) -> None:
    """Keep what was measured; the folder is not part of the repository."""
    path = path or ROOT / "benchmarks/results" / time.strftime("%Y%m%d-%H%M%S.json")
    path.parent.mkdir(exist_ok=True)
    cases = [
        {"name": case.name, "title": case.title, "unit": case.unit, "results": [*map(asdict, results)]}
        for case, results in measured
    ]
    path.write_text(json.dumps({"machine": facts, "rust": rust, "cases": cases}, indent=1), encoding="utf-8")
    print(f"\nwritten to {os.path.relpath(path)}")


if __name__ == "__main__":
    main()
