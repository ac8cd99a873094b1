"""What the fork server loads before it forks, and what it says when it may not fork."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import procession
from procession import forkserver
from tests.kit import eventually, run_script

from .test_forkserver import ended, leave, server_pid

pytestmark = pytest.mark.leaks("the server's socket is another one where a test ends the server")


@pytest.fixture
def ctx() -> Any:
    return procession.get_context("forkserver")


@pytest.fixture
def _default_preload() -> Iterator[None]:
    yield
    procession.set_forkserver_preload(["__main__"])
    forkserver._forkserver._stop()


@pytest.mark.usefixtures("_default_preload")
def test_preloaded_modules_are_there(ctx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "preloaded_here.py").write_text("import os; PID = os.getpid()")
    monkeypatch.syspath_prepend(tmp_path)
    procession.set_forkserver_preload(["no_such_module", "preloaded_here"])
    forkserver._forkserver._stop()
    assert ended(ctx, expect_preloaded, server_pid()) == 0


def expect_preloaded(server: int) -> None:
    assert "preloaded_here" in sys.modules
    assert server == sys.modules["preloaded_here"].PID


@pytest.mark.parametrize("trouble", ["raise SystemExit(3)", "1 / 0", "import no_such_module", "syntax error"])
@pytest.mark.usefixtures("_default_preload")
def test_a_module_that_fails_does_no_harm(
    ctx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    (tmp_path / "trouble_here.py").write_text(trouble)
    monkeypatch.syspath_prepend(tmp_path)
    procession.set_forkserver_preload(["trouble_here"])
    forkserver._forkserver._stop()
    assert ended(ctx, leave, 0) == 0


@pytest.mark.usefixtures("_default_preload")
def test_a_failure_is_told_if_that_is_asked_for(
    ctx: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As of 3.15, whose `set_forkserver_preload` takes `on_error`."""
    from multiprocessing import forkserver as std

    server = std._forkserver  # type: ignore[attr-defined]
    procession.set_forkserver_preload(["no_such_module"])
    monkeypatch.setattr(server, "_preload_on_error", "warn", raising=False)
    monkeypatch.setenv("PYTHONWARNINGS", "always::ImportWarning")
    forkserver._forkserver._stop()
    assert ended(ctx, leave, 0) == 0
    assert "could not preload no_such_module" in capfd.readouterr().err
    monkeypatch.setattr(server, "_preload_on_error", "fail", raising=False)
    forkserver._forkserver._stop()
    with pytest.raises(procession.ProcessError, match="its standard error may say why"):
        ended(ctx, leave, 0)
    assert "No module named 'no_such_module'" in capfd.readouterr().err


def test_names_of_modules_are_strings() -> None:
    with pytest.raises(TypeError, match="module_names must be a list of strings"):
        procession.set_forkserver_preload([1, 2])


def test_main_is_preloaded_once_and_never_if_it_has_no_guard() -> None:
    guarded = """
        import os
        import procession
        print("imported by", os.getpid(), flush=True)
        def work(): pass
        if __name__ == "__main__":
            for _ in range(3):
                process = procession.Process(target=work)
                process.start(); process.join()
                assert process.exitcode == 0
    """
    lines = run_script(guarded).check().stdout.splitlines()
    assert len(set(lines)) == len(lines) == 2  # the program itself, and the server
    result = run_script(guarded.replace('if __name__ == "__main__":', "if True:")).check()
    assert len(result.stdout.splitlines()) == 1


@pytest.mark.usefixtures("_default_preload")
def test_fork_refused_by_the_server(ctx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no_forks_here.py").write_text(
        "import os\n"
        "def refuse(): raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "os.fork = refuse"
    )
    monkeypatch.syspath_prepend(tmp_path)
    procession.set_forkserver_preload(["no_forks_here"])
    forkserver._forkserver._stop()
    child = ctx.Process(target=leave, args=(0,))
    with pytest.raises(BlockingIOError, match="the fork server could not start a child"):
        child.start()
    assert child.pid is None


def test_the_rooms_that_are_in_use_are_there(ctx: Any) -> None:
    importlib.import_module("procession.sharedctypes")
    forkserver._forkserver._stop()
    # Who waits comes first.
    assert eventually(lambda: ended(ctx, look_for_room, "procession.sharedctypes") == 0)


def look_for_room(name: str) -> None:
    assert "procession.cli" not in sys.modules
    sys.exit(0 if name in sys.modules else 7)


def killed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Have the server's next so many children killed as soon as they are there."""
    (tmp_path / "lives").write_bytes(b"." * times)
    (tmp_path / "short_lives_here.py").write_text(
        "import os, signal\n"
        f"lives = os.open({str(tmp_path / 'lives')!r}, os.O_RDONLY)\n"
        "def end():\n"
        "    if os.read(lives, 1): os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.register_at_fork(after_in_child=end)"
    )
    monkeypatch.syspath_prepend(tmp_path)
    procession.set_forkserver_preload(["short_lives_here"])
    forkserver._forkserver._stop()


@pytest.mark.usefixtures("_default_preload")
def test_children_that_are_killed_before_they_are_anything(
    ctx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_at_once(tmp_path, monkeypatch, 20)
    assert [ended(ctx, leave, code) for code in range(3)] == [0, 1, 2]


@pytest.mark.usefixtures("_default_preload")
def test_who_kills_all_children_keeps_nobody_for_ever(
    ctx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_at_once(tmp_path, monkeypatch, 1000)
    child = ctx.Process(target=leave, args=(0,))
    with pytest.raises(procession.ProcessError, match="exit code -9 before it was anything"):
        child.start()
    assert child.pid is None
