"""The interpreters of this machine that could run procession and have CPython's tests with them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_OLDEST, _NEWEST = 11, 15
_PROBE = """
import importlib.util, sys
fit = sys.version_info[:2] == (3, {minor}) and importlib.util.find_spec("test._test_multiprocessing")
sys.exit(not fit)
"""


def found() -> list[str]:
    """One of each version, in order."""
    return [python for minor in range(_OLDEST, _NEWEST + 1) if (python := _one(minor))]


def _one(minor: int) -> str | None:
    return next((python for python in _candidates(minor) if _is_fit(python, minor)), None)


def _candidates(minor: int) -> Iterator[str]:
    name = f"python3.{minor}"
    if on_path := shutil.which(name):
        yield on_path
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    yield from map(str, sorted(root.glob(f"3.{minor}.*/bin/{name}")))


def _is_fit(python: str, minor: int) -> bool:
    command = [python, "-c", _PROBE.format(minor=minor)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
