"""What is submitted: a function, how it is to be called, and what errors say of it."""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from typing import Any

EACH = 0
"""Each item of a message is one argument."""
STAR = 1
"""Each item holds all positional arguments."""
APPLY = 2
"""The only item is (args, kwds)."""


class Call:
    """A function and how it is to be called; one a job.

    `unit`: so many items belong together, as the caller wants it; a message has one unit or more.
    `prompt`: after so many the results are wanted, 0: all at the end.  `wire` is what the channel makes
    of the function, for its own use.
    """

    __slots__ = ("function", "mode", "prompt", "unit", "wire")

    def __init__(self, function: Callable[..., Any], mode: int, unit: int = 0, prompt: int = 0) -> None:
        self.function = function
        self.mode = mode
        self.unit = unit or 1
        self.prompt = prompt
        self.wire: Any = None

    def label(self, index: int) -> str:
        """What errors call the arguments of task number `index`."""
        return "args" if self.mode == APPLY else f"iterable[{index}]"

    def describe(self, index: int, item: Any) -> str:
        """The task as a person would write it, at most a line or so long."""
        name = getattr(self.function, "__qualname__", None) or reprlib.repr(self.function)
        try:
            args, kwds = item if self.mode == APPLY else (item if self.mode == STAR else (item,), {})
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


SPENT = Call(print, APPLY)
"""In the place of a call that need not be remembered any longer."""
