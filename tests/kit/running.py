"""Starting, ending and killing the processes and threads of a test, and Ctrl-C."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

LONG = 30.0
"""A bound against hanging, in seconds; nothing is expected to take that long."""


def start(ctx: Any, target: Any, *args: Any) -> Any:
    process = ctx.Process(target=target, args=args)
    process.start()
    return process


def end(*processes: Any) -> None:
    for process in processes:
        process.join(LONG)
        assert process.exitcode == 0


def killed(process: Any) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.join(LONG)
    assert process.exitcode == -signal.SIGKILL


def in_thread(target: Any, *args: Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=args)
    thread.start()
    return thread


@contextmanager
def interrupted(seconds: float = 0.1) -> Iterator[None]:
    """Ctrl-C comes while the block waits; the block must end with KeyboardInterrupt."""
    timer = threading.Timer(seconds, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        timer.join()
