"""What is submitted, and what is remembered of it while it flies."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .future import Job

EACH = 0
"""Each item of a message is one argument."""
STAR = 1
"""Each item holds all positional arguments."""
APPLY = 2
"""Each item is (args, kwds)."""


class Call:
    """A function and how it is to be called; one a job.

    `wire` is what the channel makes of the function, for its own use.
    """

    __slots__ = ("function", "mode", "wire")

    def __init__(self, function: Callable[..., Any], mode: int) -> None:
        self.function = function
        self.mode = mode
        self.wire: Any = None

    def label(self, index: int) -> str:
        """What errors call the arguments of task number `index`."""
        return "args" if self.mode == APPLY else f"iterable[{index}]"

    def describe(self, index: int, item: Any) -> str:
        """The task as a person would write it, at most a line or so long."""
        name = getattr(self.function, "__qualname__", None) or reprlib.repr(self.function)
        args, kwds = item if self.mode == APPLY else (item if self.mode == STAR else (item,), {})
        try:
            texts = [_short(arg) for arg in args] + [f"{key}={_short(value)}" for key, value in kwds.items()]
        except Exception:  # noqa: BLE001 - starmap's item may be anything, iterable once or not at all
            texts = ["..."]
        place = "" if self.mode == APPLY else f", item {index}"
        return f"{name}({', '.join(texts)}){place}"


def _short(value: Any) -> str:
    try:
        return reprlib.repr(value)
    except Exception:  # noqa: BLE001 - a broken __repr__ must not hide the error that is described
        return f"<{type(value).__qualname__}>"


class Flight:
    """One message on its way: `items` of `job` from number `start` on.

    `done` counts the items answered, in order.  `end` is how many are to be: fewer than were sent
    when the rest is sent again.  `unread` counts workers that died before they began an item.
    """

    __slots__ = ("done", "end", "items", "job", "start", "unread")

    def __init__(self, job: Job, start: int, items: Sequence[Any], unread: int = 0) -> None:
        self.job = job
        self.start = start
        self.items = items
        self.done = 0
        self.end = len(items)
        self.unread = unread
