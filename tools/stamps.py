"""What has been done is written down when it is done, so that it is neither repeated nor believed too early.

The notes lie in the virtual environment: what goes with it is forgotten with it.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from .paths import VENV

FOLDER = VENV / "procession-setup"


def read(name: str) -> str:
    """The note of that name; empty if there is none."""
    try:
        return (FOLDER / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def write(name: str, text: str) -> None:
    """Put down a note, whole or not at all."""
    FOLDER.mkdir(exist_ok=True)
    draft = FOLDER / f"{name}.new"
    draft.write_text(text, encoding="utf-8")
    draft.replace(FOLDER / name)


def forget(name: str) -> None:
    """Before something is done again: it is not done until it is noted anew."""
    (FOLDER / name).unlink(missing_ok=True)


def digest(files: Iterable[Path], *more: str) -> str:
    """One name for the contents of files; times do not count, so a fresh checkout is no change."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(f"{path}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    for text in more:
        total.update(b"\0" + text.encode())
    return total.hexdigest()
