"""The watch over a child when others interfere, and on machines that offer less."""

import _posixsubprocess
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import procession
from procession.start import pidfd
from tests.kit import alive, eventually, run_script

LONG = 30.0


def leave(code: int) -> None:
    sys.exit(code)


def wait_on(event: Any) -> None:
    event.wait(LONG)


def waiting(ctx: Any) -> tuple[Any, Any]:
    """A child and the event that ends it."""
    event = ctx.Event()
    child = ctx.Process(target=wait_on, args=(event,))
    child.start()
    return child, event


@pytest.fixture
def _sigchld_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGCHLD, before)


KERNEL_TELLS = tuple(int(part) for part in os.uname().release.split(".")[:2]) >= (6, 15)
"""The kernel gives the exit code of a process that somebody else has reaped."""


@pytest.mark.usefixtures("_sigchld_ignored")
@pytest.mark.parametrize("code", [0, 3])
def test_the_program_ignores_sigchld(ctx: Any, code: int) -> None:
    child, event = waiting(ctx)
    assert child.is_alive()
    event.set()
    child.join(LONG)
    assert not child.is_alive()
    other = ctx.Process(target=leave, args=(code,))
    other.start()
    other.join(LONG)
    assert other.exitcode == (
        code if KERNEL_TELLS or ctx.get_start_method() == "forkserver" else pidfd.UNKNOWN
    )


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_reaped_by_somebody_else(ctx: Any) -> None:
    child, _ = waiting(ctx)
    child.kill()
    assert os.waitpid(child.pid, 0)[0] == child.pid
    assert not child.is_alive()
    child.join()
    assert child.exitcode == (-signal.SIGKILL if KERNEL_TELLS else pidfd.UNKNOWN)
    child.kill()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_reaped_within_a_wait_for_it(ctx: Any) -> None:
    child, event = waiting(ctx)
    reaper = os.fork()
    if reaper == 0:
        time.sleep(0.2)
        event.set()
        os._exit(0)
    pids = {os.wait()[0], os.wait()[0]}
    assert pids == {reaper, child.pid}
    child.join(LONG)
    assert not child.is_alive()


def test_a_machine_without_pidfds(method: str) -> None:
    """In a program of its own: the fork server must not know of pidfds either."""
    run_script(
        """
        import os, signal, sys, time
        def refuse(*_): raise OSError(1, "Operation not permitted")
        os.pidfd_open = signal.pidfd_send_signal = refuse
        import procession
        from multiprocessing import connection

        def leave(code):
            sys.exit(code)

        def sleep():
            time.sleep(60)

        if __name__ == "__main__":
            ctx = procession.get_context(sys.argv[1])
            ctx.set_forkserver_preload(["__main__"])
            sleeper = ctx.Process(target=sleep)
            sleeper.start()
            for code in (0, 3):
                child = ctx.Process(target=leave, args=(code,))
                child.start()
                # The sleeper, forked before and after, does not hold its sibling's sentinel.
                assert connection.wait([child.sentinel, sleeper.sentinel], 30) == [child.sentinel]
                child.join(0)
                assert child.exitcode == code, child
                child.close()
            assert sleeper.is_alive()
            sleeper.terminate()
            sleeper.join(30)
            assert sleeper.exitcode == -15, sleeper
        """,
        method,
    ).check()


def test_sixty_processes_in_a_hundred_descriptors(method: str) -> None:
    run_script(
        """
        import resource, sys
        import procession

        def wait_on(event):
            event.wait(60)

        if __name__ == "__main__":
            resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
            ctx = procession.get_context(sys.argv[1])
            event = ctx.Event()
            children = [ctx.Process(target=wait_on, args=(event,)) for _ in range(60)]
            for child in children:
                child.start()
            event.set()
            for child in children:
                child.join(60)
                assert child.exitcode == 0, child
        """,
        method,
    ).check()


def test_no_descriptors_left_no_child(ctx: Any) -> None:
    child, event = waiting(ctx)  # what the first start opens for good is open
    child.join(0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = set(os.listdir("/proc/self/fd"))
    other = ctx.Process(target=leave, args=(0,))
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, before)) + 1, hard))
    fillers = []
    try:
        with suppress(OSError):
            while True:
                fillers.append(os.dup(0))
        with pytest.raises(OSError, match="Too many open files"):
            other.start()
    finally:
        for fd in fillers:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert other.pid is None
    other.start()
    event.set()
    child.join(LONG)
    other.join(LONG)
    assert (child.exitcode, other.exitcode) == (0, 0)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_fork_refused(ctx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any) -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    monkeypatch.setattr(_posixsubprocess, "fork_exec", refuse)
    child = ctx.Process(target=leave, args=(0,))
    with pytest.raises(BlockingIOError):
        child.start()
    assert child.pid is None
    monkeypatch.undo()
    child.start()
    child.join(LONG)
    assert child.exitcode == 0


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_ctrl_c_in_the_middle_of_a_start(ctx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_pid: int) -> int:
        raise KeyboardInterrupt

    child = ctx.Process(target=time.sleep, args=(LONG,))
    monkeypatch.setattr(os, "pidfd_open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        child.start()
    assert child.pid is None


def test_ctrl_c_when_the_child_is_there_and_nobody_knows_of_it(
    ctx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = ctx.Process._Popen
    pids: list[int] = []

    def interrupted(process: Any) -> Any:
        pids.append(start(process).pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(ctx.Process, "_Popen", staticmethod(interrupted))
    child = ctx.Process(target=time.sleep, args=(LONG,))
    with pytest.raises(KeyboardInterrupt):
        child.start()
    assert child.pid is None
    assert child not in procession.active_children()
    assert not alive(pids[0])
    monkeypatch.undo()
    child.start()
    child.kill()
    child.join(LONG)
    assert child.exitcode == -signal.SIGKILL


def test_a_child_that_is_collected_leaves_no_descriptor(ctx: Any) -> None:
    before = len(os.listdir("/proc/self/fd"))
    child = ctx.Process(target=leave, args=(0,))
    child.start()
    child.join(LONG)
    del child
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_readable_rounds_up_and_knows_no_longest_wait() -> None:
    r, w = os.pipe()
    begin = time.monotonic()
    assert pidfd.readable([r], 0.0105) == []
    assert time.monotonic() - begin >= 0.0105
    assert pidfd.readable([r], -1.0) == []
    os.write(w, b"x")
    for timeout in (None, 1e12, float("inf"), 0):
        assert pidfd.readable([r], timeout) == [r]
    os.close(r)
    os.close(w)
