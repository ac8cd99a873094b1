"""Process objects under every start method: what they say to misuse."""

import os
import textwrap
import threading
from typing import Any

import pytest

import procession
from procession.errors import TransferError
from tests.kit import run_python
from tests.test_process import LONG, nothing, run, wait_on


def test_a_process_object_stays_at_home(ctx: Any) -> None:
    with pytest.raises((TypeError, TransferError), match="AuthenticationString"):
        procession.reducer.ForkingPickler.dumps(ctx.Process(target=nothing))


# ---- misuse --------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [3, "name", [nothing]])
def test_a_target_that_cannot_be_called(ctx: Any, target: Any) -> None:
    with pytest.raises(TypeError, match="target must be a callable"):
        ctx.Process(target=target)


def test_a_called_target_is_a_target_that_cannot_be_called(ctx: Any) -> None:
    assert ctx.Process(target=nothing()).exitcode is None  # None is no target at all
    with pytest.raises(TypeError, match="pass target=f"):
        ctx.Process(target=len("abc"))


def test_starting_twice(ctx: Any) -> None:
    child = run(ctx, nothing)
    with pytest.raises(AssertionError, match="cannot start a process twice: make a new Process"):
        child.start()


def test_before_the_start(ctx: Any) -> None:
    child = ctx.Process(target=nothing)
    with pytest.raises(AssertionError, match=r"can only join a started process: call start\(\) first"):
        child.join()
    with pytest.raises(ValueError, match="not started"):
        _ = child.sentinel
    for verb in ("terminate", "kill", "interrupt"):
        with pytest.raises(AttributeError, match=f"cannot {verb} a process that was not started"):
            getattr(child, verb)()
    assert child.start_error is None
    child.close()


def test_after_close(ctx: Any) -> None:
    child = run(ctx, nothing)
    child.close()
    child.close()
    for verb in ("start", "join", "is_alive", "terminate", "kill", "interrupt"):
        with pytest.raises(ValueError, match="is closed"):
            getattr(child, verb)()
    with pytest.raises(ValueError, match="is closed"):
        _ = child.exitcode


def test_closing_one_that_runs(ctx: Any) -> None:
    stop = ctx.Event()
    child = ctx.Process(target=wait_on, args=(stop,))
    child.start()
    with pytest.raises(ValueError, match="still running"):
        child.close()
    stop.set()
    child.join(LONG)
    child.close()


def test_daemon_is_settled_by_the_start(ctx: Any) -> None:
    child = run(ctx, nothing)
    with pytest.raises(AssertionError, match="already started"):
        child.daemon = True


def test_somebody_elses_process(ctx: Any) -> None:
    stop = ctx.Event()
    child = ctx.Process(target=wait_on, args=(stop,))
    child.start()
    pid = os.fork()
    if pid == 0:
        try:
            ours = procession.active_children()
            child._popen.terminate()
            child.join()
        except AssertionError as error:
            os._exit(0 if "can only join a child process" in str(error) and not ours else 2)
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert child.is_alive()
    stop.set()
    child.join(LONG)
    assert child.exitcode == 0


def test_misuse_is_told_under_python_o() -> None:
    script = """
        import procession
        child = procession.get_context("fork").Process()
        try:
            child.join()
        except AssertionError as error:
            print(error)
        child.start(); child.join()
        try:
            child.start()
        except AssertionError as error:
            print(error)
    """
    result = run_python("-O", "-c", textwrap.dedent(script)).check()
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        "can only join a started process",
        "cannot start a process twice",
    ]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_what_cannot_be_pickled_leaves_no_process(ctx: Any) -> None:
    before = set(os.listdir("/proc/self/fd"))
    child = ctx.Process(target=nothing, args=(threading.Lock(),))
    with pytest.raises(TransferError, match="lock"):
        child.start()
    assert child.pid is None
    assert not child.is_alive()
    assert set(os.listdir("/proc/self/fd")) <= before
