"""The libraries that the benchmarks measure beside us, apart from our own environment."""

import subprocess
import sys
from importlib.machinery import PathFinder
from importlib.metadata import distributions
from pathlib import Path

from . import stamps
from .paths import ROOT, VENV, VENV_PYTHON
from .say import step, stop

OTHERS = {"billiard", "faster-fifo", "joblib", "loky", "mpire", "pebble", "ray"}
FOLDER = VENV / "peers"
LIST = ROOT / "benchmarks/requirements.txt"


def ensure() -> None:
    """Install what benchmarks/requirements.txt names, if that has not been done."""
    wanted = LIST.read_text(encoding="utf-8")
    if stamps.read("peers") == wanted:
        return
    step("installing the libraries to be measured beside procession")
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--upgrade"]
    command: list[str | Path] = [
        VENV_PYTHON,
        "-m",
        "pip",
        "install",
        *options,
        "--target",
        FOLDER,
        "-r",
        LIST,
    ]
    if subprocess.run(command, check=False).returncode:
        stop("They could not be installed; pip says why above.  Run the same command again to go on.")
    stamps.write("peers", wanted)


def here(contender: str) -> bool:
    """Can it be measured?  What is no library of others always can."""
    top = contender.partition(".")[0].replace("-", "_")
    return contender not in OTHERS or PathFinder.find_spec(top, [str(FOLDER), *sys.path]) is not None


def versions() -> dict[str, str]:
    """Of those that are named in the list."""
    named = {
        line.partition(">")[0] for line in LIST.read_text(encoding="utf-8").splitlines() if line[:1].isalpha()
    }
    found = {one.metadata["Name"].lower(): one.version for one in distributions(path=[str(FOLDER)])}
    return {name: found[name] for name in sorted(named) if name in found}


if __name__ == "__main__":
    ensure()
