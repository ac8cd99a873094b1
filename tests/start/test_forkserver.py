"""The fork server: what its children see of those who ask for them, and its own life and death."""

import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import procession
from procession import forkserver
from procession.start import serverlink, wire
from tests.kit import alive, eventually, kill, proc, run_script

LONG = 30.0

pytestmark = pytest.mark.leaks("the server's socket is another one where a test ends the server")


@pytest.fixture
def ctx() -> Any:
    return procession.get_context("forkserver")


def leave(code: int) -> None:
    sys.exit(code)


def wait_on(event: Any) -> None:
    event.wait(LONG)


def started(ctx: Any, target: Any, *args: Any) -> Any:
    child = ctx.Process(target=target, args=args)
    child.start()
    return child


def ended(ctx: Any, target: Any, *args: Any) -> Any:
    child = started(ctx, target, *args)
    child.join(LONG)
    return child.exitcode


def server_pid() -> int:
    server = serverlink.ensure_running()
    return server.pid


# ---- today's surroundings ------------------------------------------------------------------


def test_todays_environment(ctx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSION_TEST", "1")
    assert ended(ctx, expect_environment, "1") == 0
    monkeypatch.setenv("PROCESSION_TEST", "2")
    assert ended(ctx, expect_environment, "2") == 0
    monkeypatch.delenv("PROCESSION_TEST")
    assert ended(ctx, expect_environment, None) == 0


def expect_environment(value: str | None) -> None:
    assert os.environ.get("PROCESSION_TEST") == value
    assert os.popen("echo $PROCESSION_TEST").read().strip() == (value or "")


def test_todays_folder_and_path(ctx: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert ended(ctx, leave, 0) == 0
    (tmp_path / "module_of_today.py").write_text("NUMBER = 6")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert ended(ctx, expect_module, str(tmp_path)) == 6


def expect_module(folder: str) -> None:
    import module_of_today  # type: ignore[import-not-found]

    assert os.getcwd() == folder
    sys.exit(module_of_today.NUMBER)


def test_todays_standard_streams(tmp_path: Path) -> None:
    result = run_script(
        """
        import os, sys
        import procession

        def speak(word):
            print(word, flush=True)
            print(word, file=sys.stderr)

        if __name__ == "__main__":
            ctx = procession.get_context("forkserver")
            def run(word):
                process = ctx.Process(target=speak, args=(word,)); process.start(); process.join()
                assert process.exitcode == 0
            run("one")
            kept = os.dup(1), os.dup(2)
            file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
            os.dup2(file, 1); os.dup2(file, 2)
            run("two")
            os.close(1)
            run("three")
            os.dup2(kept[0], 1); os.dup2(kept[1], 2)
            run("four")
        """,
        str(tmp_path / "file"),
    ).check()
    assert result.stdout.split() == ["one", "four"]
    assert result.stderr.split() == ["one", "four"]
    assert (tmp_path / "file").read_text().split() == ["two", "two", "three"]


def test_todays_signals(ctx: Any) -> None:
    assert ended(ctx, expect_signals, set(), set()) == 0
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        assert ended(ctx, expect_signals, {signal.SIGINT}, {signal.SIGUSR1}) == 0
    finally:
        signal.signal(signal.SIGINT, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert ended(ctx, expect_signals, set(), set()) == 0


def expect_signals(ignored: set[int], blocked: set[int]) -> None:
    handler = signal.getsignal(signal.SIGINT)
    assert (handler is signal.SIG_IGN) == (signal.SIGINT in ignored)
    assert (handler is signal.default_int_handler) == (signal.SIGINT not in ignored)
    assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == blocked
    assert signal.set_wakeup_fd(-1) == -1


def test_a_mask_of_the_thread_that_starts_the_server_is_no_childs(ctx: Any) -> None:
    forkserver._forkserver._stop()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    child = started(ctx, time.sleep, LONG)
    child.terminate()
    child.join(LONG)
    assert child.exitcode == -signal.SIGTERM


@pytest.mark.parametrize("fresh", [False, True])
def test_a_child_holds_no_pipe_that_it_was_not_given(ctx: Any, fresh: bool) -> None:
    if fresh:
        # It is asked for a child before it has forked one in advance.
        forkserver._forkserver._stop()
        assert ended(ctx, expect_few_descriptors, standard_streams()) == 0
    others = [started(ctx, wait_on, event) for event in [ctx.Event()] * 2]
    assert ended(ctx, expect_few_descriptors, standard_streams()) == 0
    for other in others:
        other.kill()
        other.join(LONG)


def standard_streams() -> set[str]:
    return {os.readlink(f"/proc/self/fd/{fd}") for fd in range(3)}


def expect_few_descriptors(standard: set[str]) -> None:
    found = [
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{fd}")
    ]
    pipes = [target for target in found if target.startswith(("pipe:", "socket:")) and target not in standard]
    # The life pipe and the stdlib's resource tracker.
    assert len(pipes) <= 2, found
    assert not [target for target in found if "pidfd" in target], found


# ---- life and death ------------------------------------------------------------------------


def test_a_server_a_process() -> None:
    forkserver.ensure_running()
    pid = server_pid()
    forkserver.ensure_running()
    assert server_pid() == pid == forkserver._forkserver._forkserver_pid


def test_a_fork_has_no_server(ctx: Any) -> None:
    forkserver.ensure_running()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert forkserver._forkserver._forkserver_pid is None
            code = ended(ctx, leave, 5)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    assert alive(server_pid())


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_server(ctx: Any, sig: int) -> None:
    event = ctx.Event()
    survivor, victim = started(ctx, wait_on, event), started(ctx, wait_on, event)
    pid = server_pid()
    os.kill(pid, sig)
    eventually(lambda: not alive(pid))
    # The next start has a new server; the children of the old one are watched still.
    assert ended(ctx, leave, 4) == 4
    assert server_pid() != pid
    assert survivor.is_alive()
    victim.kill()
    victim.join(LONG)
    assert not victim.is_alive()
    assert victim.exitcode == -signal.SIGKILL
    event.set()
    survivor.join(LONG)
    assert survivor.exitcode == 0


def test_ctrl_c_does_not_end_the_server(ctx: Any) -> None:
    pid = server_pid()
    os.kill(pid, signal.SIGINT)
    assert ended(ctx, leave, 0) == 0
    assert server_pid() == pid


def test_a_spare_that_is_killed_is_replaced(ctx: Any) -> None:
    pid = server_pid()
    spares = eventually(lambda: proc.descendants(pid))
    for spare in spares:
        kill(spare)
    for code in range(4):
        assert ended(ctx, leave, code) == code


def test_the_server_is_killed_while_threads_start_processes(ctx: Any) -> None:
    """Each start raises, or gives a process that runs its target."""
    outcomes: list[Any] = []

    def work() -> None:
        for _ in range(10):
            child = ctx.Process(target=leave, args=(3,))
            try:
                child.start()
            except procession.ProcessError:
                outcomes.append(None)
                continue
            child.join(LONG)
            outcomes.append(child.exitcode)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (server := serverlink.running()) is not None:
            kill(server.pid)
        time.sleep(0.15)
    assert len(outcomes) == 40
    assert set(outcomes) <= {3, None}
    assert 3 in outcomes


def test_the_server_runs_out_of_descriptors(ctx: Any) -> None:
    forkserver._forkserver._stop()
    pid = server_pid()
    assert ended(ctx, leave, 0) == 0
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(1000)) - held), hard))
    child = ctx.Process(target=leave, args=(0,))
    with pytest.raises(OSError, match="Too many open files"):
        child.start()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert ended(ctx, leave, 4) == 4
    assert server_pid() == pid
    forkserver._forkserver._stop()  # its spare children have the low limit still


def test_ctrl_c_in_the_middle_of_a_start(ctx: Any) -> None:
    """The child, of which nobody would know, is put down; the next start is as any other."""
    pid = server_pid()
    assert ended(ctx, leave, 0) == 0
    spares = eventually(lambda: proc.descendants(pid))
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    threading.Timer(0.5, os.kill, (pid, signal.SIGCONT)).start()
    child = ctx.Process(target=time.sleep, args=(LONG,))
    with pytest.raises(KeyboardInterrupt):
        child.start()
    assert child.pid is None
    eventually(lambda: len(proc.descendants(pid) - spares) == len(spares - proc.descendants(pid)))
    assert ended(ctx, leave, 4) == 4


def test_too_many_descriptors(ctx: Any) -> None:
    ends = [procession.Pipe() for _ in range(150)]
    child = ctx.Process(target=leave, args=(ends,))
    with pytest.raises(ValueError, match="at most 253 can"):
        child.start()
    for pair in ends:
        for end in pair:
            end.close()


def test_messages() -> None:
    one, other = wire.pair()
    wire.send(one, wire.Message(wire.STARTED, 5, 6, [0, 1]))
    message = wire.receive(other)
    assert message[:3] == (wire.STARTED, 5, 6)
    assert not any(os.get_inheritable(fd) for fd in message.fds)
    wire.close_all(message.fds)
    with pytest.raises(BlockingIOError):
        wire.receive(other, block=False)
    os.close(one)
    assert wire.receive(other) is None
    os.close(other)
