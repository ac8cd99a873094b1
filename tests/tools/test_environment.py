"""The virtual environment: when it is made anew, what is installed, what is said."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import environment, stamps


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the environment shall be; nothing is there yet.  A path with a space."""
    place = tmp_path / "a project" / ".venv"
    place.parent.mkdir()
    use(place, monkeypatch)
    monkeypatch.delenv("PYTHON", raising=False)
    return place


def use(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "VENV", place)
    monkeypatch.setattr(environment, "VENV_PYTHON", place / "bin/python")
    monkeypatch.setattr(stamps, "FOLDER", place / "notes")


def make(place: Path) -> None:
    """An environment with a pip that is only a name: a real one takes seconds."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (site(place) / "pip").mkdir()
    (site(place) / "pip/__init__.py").touch()


def site(place: Path) -> Path:
    return next(place.glob("lib/python3.*/site-packages"))


def test_there_is_none(venv: Path) -> None:
    assert environment.spoilt() == "there is none yet"


def test_a_good_one_is_kept(venv: Path) -> None:
    make(venv)
    assert environment.spoilt() == ""


def test_one_whose_making_was_interrupted_is_made_anew(venv: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    assert "incomplete" in environment.spoilt()


def test_one_whose_python_is_gone_is_made_anew(venv: Path) -> None:
    make(venv)
    (venv / "bin/python").unlink()
    (venv / "bin/python").symlink_to("/nowhere/python3.11")
    assert "its Python is gone" in environment.spoilt()


def test_one_that_was_moved_is_made_anew(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(venv)
    moved = venv.parent / "moved"
    venv.rename(moved)
    use(moved, monkeypatch)
    assert environment.spoilt() == "it was made in another folder"


def test_one_whose_python_became_another_version_is_made_anew(venv: Path) -> None:
    make(venv)
    config = venv / "pyvenv.cfg"
    text = config.read_text(encoding="utf-8").replace(f"version = {environment.MINE}", "version = 3.99")
    config.write_text(text, encoding="utf-8")
    assert "made for Python 3.99" in environment.spoilt()


def test_one_of_another_python_is_kept_unless_one_is_asked_for(
    venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(venv)
    monkeypatch.setattr(environment, "MINE", "3.98")
    assert environment.spoilt() == ""
    monkeypatch.setenv("PYTHON", "python3.98")
    assert "Python 3.98 is asked for" in environment.spoilt()


def test_python_without_venv_is_explained(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda name: name == "venv" or None)
    with pytest.raises(SystemExit, match=r"has no ensurepip[\s\S]*apt install python3\.\d+-venv"):
        environment.create("there is none yet")


def test_the_groups_are_read_with_those_they_include() -> None:
    dev, demo = environment.requirements("dev"), environment.requirements("demo")
    assert set(demo) < set(dev)
    assert any(requirement.startswith("cloudpickle") for requirement in demo)
    assert any(requirement.startswith("maturin") for requirement in demo)
    assert not any(requirement.startswith("mypy") for requirement in demo)


def pip(place: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> list[list[str]]:
    """A pip that notes what it is called with."""
    calls: list[list[str]] = []

    def run(command: list[object], *, check: bool) -> "subprocess.CompletedProcess[str]":
        assert not check
        calls.append([str(part) for part in command])
        return subprocess.CompletedProcess(calls[-1], status)

    place.mkdir()
    monkeypatch.setattr(environment.subprocess, "run", run)
    return calls


def test_what_is_installed_is_not_installed_again(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = pip(venv, monkeypatch, 0)
    environment.install(["a>=1", "b"])
    environment.install(["b"])
    assert len(calls) == 1
    environment.install(["a>=2", "b"])
    assert calls[1][-1] == "a>=2"


def test_a_failed_installation_is_explained_and_tried_again(
    venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = pip(venv, monkeypatch, 1)
    for _ in range(2):
        with pytest.raises(SystemExit, match="network is needed once"):
            environment.install(["a"])
    assert len(calls) == 2


def test_the_package_is_found_where_its_sources_are(venv: Path) -> None:
    make(venv)
    environment.link()
    found = subprocess.run(
        [venv / "bin/python", "-c", "import sys; print(sys.path)"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    assert repr(str(environment.PACKAGE.parent)) in found.stdout
