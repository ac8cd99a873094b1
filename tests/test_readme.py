"""Every block of Python in the documents runs, and prints what its comments say."""

import os
import re
from pathlib import Path

import pytest

from tests.kit import run_python, run_script

ROOT = Path(__file__).parent.parent


def blocks(document: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def expected(block: str) -> list[str]:
    """What stands behind `#` on the lines that print."""
    return re.findall(r"^ *print\(.*\)  # (.*)$", block, re.MULTILINE)


@pytest.mark.parametrize("block", blocks("README.md"))
def test_a_block_of_the_readme_runs(block: str) -> None:
    assert expected(block), "each block shows a result"
    assert run_script(block).check().stdout.splitlines() == expected(block)


def test_the_test_shown_to_contributors_passes(tmp_path: Path) -> None:
    (block,) = blocks("CONTRIBUTING.md")
    (tmp_path / "test_shown.py").write_text(block, encoding="utf-8")
    options = ["-q", "-p", "tests.conftest", "-c", os.devnull, "--rootdir", str(tmp_path)]
    result = run_python("-m", "pytest", *options, str(tmp_path), cwd=ROOT).check()
    assert "3 passed" in result.stdout


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "changes/README.md"])
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / document).parent.joinpath(link).exists()] == []
