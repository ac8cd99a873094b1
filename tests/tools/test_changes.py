"""Changelog fragments."""

from pathlib import Path

import pytest

from tools.changes import complaints

SETTINGS = """
[tool.towncrier]
directory = "changes"
filename = "CHANGELOG.md"
start_string = "<!-- begin -->\\n"
type = [{ directory = "added" }, { directory = "fixed" }]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n<!-- begin -->\n", encoding="utf-8")
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes/README.md").write_text("# How to\n", encoding="utf-8")
    (tmp_path / "changes/pool-chunks.added.md").write_text("Chunks.\n", encoding="utf-8")
    return tmp_path


def test_a_fragment_in_order(root: Path) -> None:
    assert complaints(root) == []


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("pool.new.md", "text", "must be named"),
        ("pool.md", "text", "must be named"),
        ("Pool.added.md", "text", "must be named"),
        ("pool.fixed.txt", "text", "must be named"),
        ("pool.fixed.md", " \n", "is empty"),
        ("pool.fixed.md", "- text", "without a heading or a bullet"),
    ],
)
def test_one_that_is_not(root: Path, name: str, text: str, complaint: str) -> None:
    (root / "changes" / name).write_text(text, encoding="utf-8")
    (line,) = complaints(root)
    assert line.startswith(f"changes/{name}: ")
    assert complaint in line


def test_a_changelog_without_its_mark(root: Path) -> None:
    (root / "CHANGELOG.md").write_text("# Changelog\n", encoding="utf-8")
    assert complaints(root) == ["CHANGELOG.md: the line '<!-- begin -->' is missing"]
