"""What the documents beside the pages say holds: the test shown to contributors, and all links."""

import os
import re
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, ROOT, Page
from tests.kit import run_python

DOCUMENTS = [*sorted(ROOT.glob("*.md")), ROOT / "changes/README.md", *sorted(DOCS.rglob("*.md"))]


def test_the_test_shown_to_contributors_passes(tmp_path: Path) -> None:
    (block,) = Page(ROOT / "CONTRIBUTING.md").python()
    (tmp_path / "test_shown.py").write_text(block.text, encoding="utf-8")
    options = ["-q", "-p", "tests.conftest", "-c", os.devnull, "--rootdir", str(tmp_path)]
    result = run_python("-m", "pytest", *options, str(tmp_path), cwd=ROOT).check()
    assert "3 passed" in result.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not _leads_somewhere(document, link)] == []


def _leads_somewhere(document: Path, link: str) -> bool:
    path, _, heading = link.partition("#")
    target = document.parent / path if path else document
    return target.exists() and (not heading or heading in _anchors(target))


def _anchors(document: Path) -> set[str]:
    """Of the headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
