"""What the import statement costs a program that has imported nothing yet."""

import subprocess
import sys

from benchmarks.harness import OURS, Case, Contender

PROGRAM = "import time; begin = time.perf_counter(); {}; print(time.perf_counter() - begin)"


def of(statement: str) -> Contender:
    """Seconds, in a fresh interpreter each time; the median of several."""

    def contender(operations: int) -> float:
        command = [sys.executable, "-c", PROGRAM.format(statement)]
        runs = [
            float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
            for _ in range(operations)
        ]
        return sorted(runs)[len(runs) // 2]

    return contender


CASES = [
    Case(
        "import",
        "the import",
        {
            OURS: of("import procession"),
            "multiprocessing": of("import multiprocessing.pool, multiprocessing.context"),
        },
        5,
        targets={"multiprocessing": 1 / 1.3},
    )
]
