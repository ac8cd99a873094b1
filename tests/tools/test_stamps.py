"""Notes on what is done: believed only when it was."""

import os
from pathlib import Path

import pytest

from tools import stamps


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(stamps, "FOLDER", tmp_path / "notes")
    return tmp_path


def test_nothing_is_noted_at_first() -> None:
    assert stamps.read("native") == ""


def test_a_note_is_read_back_until_it_is_forgotten() -> None:
    stamps.write("native", "abc")
    assert stamps.read("native") == "abc"
    stamps.forget("native")
    stamps.forget("native")
    assert stamps.read("native") == ""


def test_a_digest_is_of_contents_not_of_times(folder: Path) -> None:
    file = folder / "file"
    file.write_text("a", encoding="utf-8")
    before = stamps.digest([file])
    os.utime(file, (1, 1))
    assert stamps.digest([file]) == before
    file.write_text("b", encoding="utf-8")
    assert stamps.digest([file]) != before


def test_a_digest_tells_files_and_texts_apart(folder: Path) -> None:
    (folder / "a").write_text("x", encoding="utf-8")
    (folder / "b").write_text("x", encoding="utf-8")
    names = [[folder / "a"], [folder / "b"], [folder / "a", folder / "b"], []]
    assert (
        len({stamps.digest(files) for files in names} | {stamps.digest([], "x"), stamps.digest([], "x", "")})
        == 6
    )
