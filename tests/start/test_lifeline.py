"""The parent is killed: who must die dies, who may live lives, and all that wait for it know."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import procession
from procession import _private as private
from procession.start import lifeline
from tests.kit import alive, eventually, kill

SECOND = 1.0
"""How long a daemon may outlive its parent: promised to users, so not a mere bound."""

PROGRAM = """
import ctypes, os, sys, time
import procession
from procession.start import lifeline

def sleep():
    time.sleep(60)

def hold_the_interpreter():
    ctypes.PyDLL(None).pause()

def begin(ctx, target, daemon, *args):
    process = ctx.Process(target=target, args=args, daemon=daemon)
    process.start()
    print(process.name, process.pid, flush=True)
    return process

def have_daemon(method):
    begin(procession.get_context(method), sleep, True)
    time.sleep(60)

def wait_for_parent():
    parent = procession.parent_process()
    assert parent.is_alive()
    parent.join(0.01)
    print("waiting", os.getpid(), flush=True)
    parent.join()
    print("orphan", int(parent.is_alive()), flush=True)

if __name__ == "__main__":
    method, scene = sys.argv[1:]
    ctx = procession.get_context(method)
    if scene == "daemon":
        begin(ctx, sleep, True)
    elif scene == "deaf":
        begin(ctx, hold_the_interpreter, True)
    elif scene == "free":
        begin(ctx, sleep, False)
    elif scene == "cascade":
        # Not a daemon itself, or it could have no children; but it is killed too.
        begin(ctx, have_daemon, False, method)
    elif scene == "thread":
        import threading
        thread = threading.Thread(target=begin, args=(ctx, sleep, True))
        thread.start(); thread.join()
    elif scene == "no kernel":
        def refuse(fd): raise OSError
        lifeline._ask_kernel = refuse
        begin(ctx, sleep, True)
    elif scene == "manager":
        manager = ctx.Manager()
        print("manager", manager._process.pid, flush=True)
    elif scene == "waiting":
        begin(ctx, wait_for_parent, False)
    time.sleep(60)
"""


class Program:
    """The program above, on the stage."""

    def __init__(self, path: Path, method: str, scene: str) -> None:
        path.write_text(PROGRAM, encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, str(path), method, scene],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def heard(self) -> tuple[str, int]:
        """The next name and number that it says."""
        assert self.process.stdout is not None
        name, number = self.process.stdout.readline().rsplit(maxsplit=1)
        return name, int(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def program(path: Path, method: str, scene: str) -> Iterator[Program]:
    it = Program(path / "program.py", method, scene)
    try:
        yield it
    finally:
        it.process.kill()
        it.process.wait()
        assert it.process.stdout is not None
        it.process.stdout.close()


@pytest.mark.parametrize("scene", ["daemon", "deaf", "thread", "manager"])
def test_daemons_and_managers_die_with_their_parent(tmp_path: Path, method: str, scene: str) -> None:
    with program(tmp_path, method, scene) as parent:
        _, pid = parent.heard()
        assert alive(pid)
        parent.kill()
        eventually(lambda: not alive(pid), SECOND)


def test_without_the_kernels_help_a_thread_watches(tmp_path: Path) -> None:
    with program(tmp_path, "fork", "no kernel") as parent:
        _, pid = parent.heard()
        parent.kill()
        eventually(lambda: not alive(pid), SECOND)


def test_others_live_on(tmp_path: Path, method: str) -> None:
    with program(tmp_path, method, "free") as parent, program(tmp_path, method, "daemon") as other:
        _, pid = parent.heard()
        _, beside = other.heard()
        parent.kill()
        other.kill()
        eventually(lambda: not alive(beside), SECOND)
        assert alive(pid)
        kill(pid)
        eventually(lambda: not alive(pid))


def test_the_death_of_a_daemons_parent_spreads(tmp_path: Path, method: str) -> None:
    with program(tmp_path, method, "cascade") as parent:
        _, child = parent.heard()
        _, grandchild = parent.heard()
        kill(child)
        eventually(lambda: not alive(grandchild), SECOND)


def test_a_child_can_wait_for_its_parent(tmp_path: Path, method: str) -> None:
    with program(tmp_path, method, "waiting") as parent:
        parent.heard()
        _, pid = parent.heard()
        parent.kill()
        assert parent.heard() == ("orphan", 0)
        eventually(lambda: not alive(pid))


def test_the_server_and_its_spares_go_with_their_owner(tmp_path: Path) -> None:
    with program(tmp_path, "forkserver", "free") as parent:
        _, pid = parent.heard()
        # The server, its children in advance and the one that runs share a command line.
        family = eventually(lambda: [p for p in in_session(parent.process.pid) if p != parent.process.pid])
        parent.kill()
        eventually(lambda: not [p for p in family if p != pid and alive(p) and is_server(p)])
        assert alive(pid)
        kill(pid)
        eventually(lambda: not alive(pid))


def in_session(session: int) -> set[int]:
    from tests.kit import proc

    return proc.in_session(session)


def is_server(pid: int) -> bool:
    try:
        return b"procession.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


# ---- the parts -----------------------------------------------------------------------------


def test_one_pipe_a_process() -> None:
    assert lifeline.read_end() == lifeline.read_end()


def test_a_fork_does_not_keep_the_pipe_alive() -> None:
    lifeline.read_end()
    _, w = lifeline._ends[0]
    pid = os.fork()
    if pid == 0:
        try:
            os.fstat(w)
        except OSError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_parent_that_has_gone_before_anybody_asked() -> None:
    r, w = os.pipe()
    os.close(w)
    pid = os.fork()
    if pid == 0:
        lifeline.die_with_parent(r)
        os._exit(0)
    os.close(r)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_process_without_a_parent_of_ours() -> None:
    assert procession.parent_process() is None
    lifeline.die_with_parent()


def test_private_descriptors_are_closed_in_forks() -> None:
    r, w = os.pipe()
    private.keep(w)
    pid = os.fork()
    if pid == 0:
        os.read(r, 1)  # would hang if this process held the other end too
        os._exit(0)
    private.close(w)
    os.close(r)
    assert os.waitpid(pid, 0)[1] == 0
