"""What the tests of connections share: threads and signals that end with a block."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def running(function: Callable[..., Any], *arguments: Any) -> Iterator[threading.Thread]:
    """A thread that runs while the block does, and is waited for."""
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


@contextlib.contextmanager
def alarms(handler: Callable[..., Any], after: float) -> Iterator[None]:
    """SIGALRM every `after` seconds, to `handler`."""
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, after, after)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class InterruptError(Exception):
    """Raised by the handlers of these tests."""


def interrupt(*_: object) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    raise InterruptError
