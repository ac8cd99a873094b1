"""Measure: ``python -m benchmarks.run [CASE ...]``; every case if none is named.

Prints a table and writes benchmarks/results/TIME.json.  The Rust core's own benchmark runs first:
it is what the same rings and locks cost without Python.
"""

import argparse
import json
import os
import shutil
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .cases import CASES
from .harness import machine, measure, report

ROOT = Path(__file__).parent.parent


def rust() -> list[str]:
    """What the core's benchmark says; nothing where there is no cargo or no such benchmark."""
    if not (ROOT / "rust/core/examples/bench.rs").exists() or not shutil.which("cargo"):
        return []
    command = ["cargo", "run", "--quiet", "--release", "--manifest-path", "rust/Cargo.toml"]
    done = subprocess.run(
        [*command, "-p", "procession-core", "--example", "bench"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=__doc__)
    parser.add_argument("case", nargs="*", help=f"of {', '.join(case.name for case in CASES)}")
    parser.add_argument("--repeats", type=int, default=7, help="measurements of each contender")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the number of operations")
    parser.add_argument("--no-rust", action="store_true", help="leave out the core's own benchmark")
    parser.add_argument("--json", type=Path, help="where to write the results")
    found = parser.parse_args()
    if unknown := set(found.case) - {case.name for case in CASES}:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    return found


def main() -> None:
    """Measure, print, write."""
    chosen = options()
    facts = machine()
    print("  ".join(f"{name}: {value}" for name, value in facts.items()), flush=True)
    core = [] if chosen.no_rust else rust()
    print("\n".join(["", "Rust core", *(f"    {line}" for line in core)]) if core else "", flush=True)
    cases = []
    for case in CASES:
        if chosen.case and case.name not in chosen.case:
            continue
        results = measure(case, chosen.repeats, chosen.scale)
        print("\n".join(["", *report(case, results)]), flush=True)
        cases.append({"name": case.name, "unit": case.unit, "results": [asdict(found) for found in results]})
    write(chosen.json, {"machine": facts, "rust": core, "cases": cases})


def write(path: Path | None, results: dict[str, Any]) -> None:
    """Keep what was measured; the folder is not part of the repository."""
    path = path or ROOT / "benchmarks/results" / time.strftime("%Y%m%d-%H%M%S.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(f"\nwritten to {os.path.relpath(path)}")


if __name__ == "__main__":
    main()
