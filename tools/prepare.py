"""Set-up, run by make before everything else: ``python -m tools.prepare GROUP``.

GROUP is a dependency group of pyproject.toml (build, demo, dev).  Runs with any Python from 3.11
and nothing else; a second run finds all done and takes a fraction of a second.
"""

import fcntl
import os
import sys

from . import environment, native
from .paths import ROOT
from .say import stop


def main(group: str) -> None:
    """Prepare everything that `group` needs."""
    if sys.platform != "linux":
        stop(f"procession runs on Linux so far; this is {sys.platform}.")
    # Two makes at once: the second waits and finds the work done.
    folder = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    environment.ensure(group)
    native.ensure()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        stop("Interrupted; run the same command again to go on.")
