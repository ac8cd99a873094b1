"""The guards themselves: they bite."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import alive, descendants, eventually, kill, run_python, run_script, under_load

ROOT = Path(__file__).parent.parent


def run_pytest(folder: Path, text: str, limit: float = 30.0) -> "subprocess.CompletedProcess[str]":
    """A test run of its own over a little file, with this suite's conftest."""
    (folder / "test_inner.py").write_text(text, encoding="utf-8")
    options = ["-p", "tests.conftest", "-q", "-c", os.devnull, "--rootdir", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=limit,
        cwd=ROOT,
    )


HANGS = """
import multiprocessing, os, pytest, sys, time
from tests.conftest import DOG
sys.path.insert(0, {root!r})

def in_child(ready):
    ready.set()
    time.sleep(1000)

@pytest.mark.limit(1000)
def test_hangs(request):
    print("about to hang")
    ctx = multiprocessing.get_context({start!r})
    ready = ctx.Event()
    child = ctx.Process(target=in_child, args=(ready,))
    child.start()
    ready.wait()
    request.config.stash[DOG].tell("0.2 " + request.node.nodeid)
    {hang}

def test_next():
    print("must not run")
"""


@pytest.mark.parametrize(
    "hang",
    ["child.join()", "import ctypes; ctypes.PyDLL(None).sleep(1000)"],
    ids=["waiting", "holding-the-gil"],
)
@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_a_hanging_test_is_killed_with_all_stacks_shown(tmp_path: Path, hang: str, start: str) -> None:
    text = HANGS.format(hang=hang, root=str(tmp_path), start=start)
    done = run_pytest(tmp_path, text)
    assert done.returncode != 0
    assert "ran into its time limit" in done.stderr
    assert "about to hang" in done.stderr
    assert "in test_hangs" in done.stderr
    assert "in in_child" in done.stderr
    assert "must not run" not in done.stdout
    eventually(lambda: not any("test_inner" in line for line in _commands()))


def _commands() -> list[str]:
    return [Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8") for pid in descendants()]


LEAKS = """
import os, subprocess, pytest
from tests.kit import leaks
leaks.GRACE = 0.5
kept = []

def test_leaves_a_descriptor():
    kept.append(os.open("/dev/null", os.O_RDONLY))

def test_leaves_a_process():
    subprocess.Popen(["sleep", "1000"])

def test_leaves_an_orphan():
    subprocess.run(["sh", "-c", "sleep 1001 & :"], check=True)

@pytest.mark.leaks("on purpose")
def test_may():
    kept.append(os.open("/dev/null", os.O_RDONLY))

def test_is_clean():
    assert subprocess.run(["true"]).returncode == 0
"""


@pytest.mark.leaks("its own Popen objects are the inner run's")
def test_what_a_test_leaves_is_named_and_ended(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, LEAKS, limit=50)
    assert "5 passed, 3 errors" in done.stdout, done.stdout
    assert "sleep 1000" in done.stdout
    assert "sleep 1001" in done.stdout
    assert "/dev/null" in done.stdout


def test_a_script_is_run_with_arguments_and_input() -> None:
    result = run_script("import sys\nprint(sys.argv[1:], sys.stdin.read())", "a", "b c", stdin="hello")
    assert result.check().stdout == "['a', 'b c'] hello\n"


def test_a_script_that_fails_is_shown_with_its_output() -> None:
    with pytest.raises(AssertionError, match="exit status 3"):
        run_script("import sys\nprint('so far')\nsys.exit(3)").check()


def test_a_script_that_hangs_shows_its_stacks() -> None:
    with pytest.raises(AssertionError, match=r"still ran after 1 s[\s\S]*in napping"):
        run_script("import time\ndef napping():\n    time.sleep(1000)\nnapping()", limit=1)


def test_what_outlives_a_script_is_named_and_ended() -> None:
    result = run_script("import subprocess\nprint(subprocess.Popen(['sleep', '1000']).pid)")
    assert "sleep 1000" in result.leftovers[0]
    assert not alive(int(result.stdout))


def test_the_interpreter_takes_options() -> None:
    assert run_python("-c", "print(6 * 7)").check().stdout == "42\n"


def test_eventually_says_that_it_gave_up() -> None:
    with pytest.raises(AssertionError, match=r"not true within 0\.05 s"):
        eventually(lambda: False, 0.05)


def test_eventually_gives_the_value() -> None:
    assert eventually(iter([0, "", "now"]).__next__) == "now"


def test_a_child_is_seen_and_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    assert child.pid in descendants()
    assert kill(child.pid)
    eventually(lambda: not alive(child.pid))
    assert child.pid in descendants(zombies=True)
    child.wait()
    assert not kill(child.pid)


def test_load_ends_with_its_block() -> None:
    with under_load():
        busy = descendants()
        assert len(busy) >= 2
    assert not any(alive(pid) for pid in busy - descendants())
