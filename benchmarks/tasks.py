"""What the workers of every contender run."""

import time
from typing import Any

__all__ = ["nothing", "pick", "same", "size", "sleep"]


def nothing(number: int) -> int:
    """The empty task."""
    return number


def same(value: Any) -> Any:
    """There and back."""
    return value


def size(data: bytes) -> int:
    """There only."""
    return len(data)


def sleep(seconds: float) -> None:
    """A task of known length that leaves the processors to the library under test."""
    time.sleep(seconds)


def pick(data: Any, number: int) -> float:
    """A little of something big that the function carries."""
    return float(data[number])
