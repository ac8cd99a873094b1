"""Changelog fragments: ``python -m tools.changes`` says which of them are not in order.

A fragment is a file changes/NAME.KIND.md with a sentence or a few for users; the kinds stand in
pyproject.toml.  At a release ``towncrier build`` makes them a section of CHANGELOG.md.
"""

import re
import sys
import tomllib
from pathlib import Path

from .paths import ROOT


def complaints(root: Path) -> list[str]:
    """What is wrong with the fragments and with the changelog under `root`."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    kinds = [kind["directory"] for kind in settings["type"]]
    found = [
        f"changes/{path.name}: {complaint}"
        for path in sorted((root / settings["directory"]).iterdir())
        if path.name != "README.md" and (complaint := _complaint(path, kinds))
    ]
    mark = settings["start_string"].strip()
    if mark not in (root / settings["filename"]).read_text(encoding="utf-8"):
        found.append(f"{settings['filename']}: the line {mark!r} is missing")
    return found


def _complaint(path: Path, kinds: list[str]) -> str:
    if not re.fullmatch(rf"\+?[a-z0-9-]+\.({'|'.join(kinds)})\.md", path.name):
        return f"must be named NAME.KIND.md, KIND one of {', '.join(kinds)}"
    text = path.read_text(encoding="utf-8")
    if not text.strip():
        return "is empty"
    if text.lstrip().startswith(("#", "-", "*")):
        return "is one paragraph, without a heading or a bullet"
    return ""


if __name__ == "__main__":
    wrong = complaints(ROOT)
    print("\n".join(wrong) or "changelog fragments are in order")
    sys.exit(bool(wrong))
