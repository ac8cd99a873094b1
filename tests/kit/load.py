"""A busy machine, on which orders of events turn up that a quiet one never shows."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# A spinner whose parent is gone ends by itself, however its parent went.
SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100_000))"


@contextmanager
def under_load(processes: int | None = None) -> Iterator[None]:
    """Keep every processor that we may use busy with spinning processes, two for each."""
    count = 2 * len(os.sched_getaffinity(0)) if processes is None else processes
    spinners = [subprocess.Popen([sys.executable, "-ISc", SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
        for spinner in spinners:
            spinner.wait()
