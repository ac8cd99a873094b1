"""Waiting for what no event announces."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(predicate: Callable[[], T], seconds: float = 10.0) -> T:
    """Call `predicate` until it is true and give what it gave.

    AssertionError after `seconds`, a generous bound against hanging and no measure of speed.
    """
    end = time.monotonic() + seconds
    while not (value := predicate()):
        if time.monotonic() > end:
            raise AssertionError(f"not true within {seconds:g} s: {predicate}")
        time.sleep(0.01)
    return value
