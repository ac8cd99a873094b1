"""Fixtures and guards of every test: start methods, the watchdog, the search for leaks."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit import leaks

LIMIT = 60.0
"""Seconds a test may take where it has no mark of its own."""

ROOT = Path(__file__).parent.parent
PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(params=["fork", "spawn", "forkserver"])
def method(request: pytest.FixtureRequest) -> str:
    """Each start method in turn."""
    return str(request.param)


@pytest.fixture
def ctx(method: str) -> Any:
    """The procession context of each start method in turn."""
    import procession

    return procession.get_context(method)


# ---- the watchdog --------------------------------------------------------------------------


class Watchdog:
    """This process's end of the pipe to tests/kit/watchdog.py."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.kit.watchdog", str(os.getpid())]
        # A session of its own: Ctrl-C is for the tests.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, env=environment, start_new_session=True
        )

    def tell(self, line: str) -> None:
        """A line of the watchdog's little language."""
        assert self.process.stdin is not None
        os.write(self.process.stdin.fileno(), line.encode() + b"\n")

    def stop(self) -> None:
        """It goes when its pipe does."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


DOG = pytest.StashKey[Watchdog]()


def pytest_configure(config: pytest.Config) -> None:
    """Names of marks; the guards, before anything can hang."""
    config.addinivalue_line("markers", "limit(seconds): how long the test may take, instead of 60 s")
    config.addinivalue_line("markers", "leaks(reason): the test leaves processes or descriptors on purpose")
    # Children that are started anew write their stacks too when the watchdog asks.
    os.environ["PYTHONFAULTHANDLER"] = "1"
    # A shell starts its background jobs with Ctrl-C ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Orphans come to us, not to init, so that they are seen.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if not config.getoption("usepdb"):
        config.stash[DOG] = Watchdog()
        config.stash[DOG].tell("300 collection")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The watchdog goes last."""
    if dog := config.stash.get(DOG, None):
        dog.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test is watched from its first fixture to its last."""
    mark = item.get_closest_marker("limit")
    limit = float(mark.args[0]) if mark else LIMIT
    dog = item.config.stash.get(DOG, None)
    if dog:
        dog.tell(f"{limit} {item.nodeid}")
    try:
        return (yield)
    finally:
        if dog:
            dog.tell("-")


# ---- leaks ---------------------------------------------------------------------------------

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember failures: what a failed test leaves is cleared away without a second complaint."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session", autouse=True)
def _standing_helpers() -> None:
    """Start what stays by design, once, so that no test is charged with it."""
    from multiprocessing import forkserver, resource_tracker

    resource_tracker.ensure_running()
    forkserver.ensure_running()
    import procession

    if not hasattr(procession, "get_context"):
        return
    for name in procession.get_all_start_methods():
        process = procession.get_context(name).Process(target=int)
        process.start()
        process.join()
        assert process.exitcode == 0, f"a trivial process started by {name} ended with {process.exitcode}"
    multiprocessing.active_children()


@pytest.fixture(autouse=True)
def _no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """No process and no descriptor may outlive its test."""
    before = leaks.holdings()
    yield
    allowed = request.node.get_closest_marker("leaks") or request.node.stash.get(FAILED, False)
    found = "" if allowed else leaks.leaked(before)
    leaks.end_leaked(before)
    assert not found, f"left behind by {request.node.nodeid}:\n{found}"
