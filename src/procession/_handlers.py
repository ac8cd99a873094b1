"""Whose an exception is that comes out of the midst of somebody else's code.

Signal handlers run between any two steps of the main thread, so also in a ``__reduce__`` that a pickle
calls.  What they raise is for whoever the signal came upon, and is no error of the value.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

__all__ = ["raised_by_handler"]


def raised_by_handler(error: BaseException) -> bool:
    """Did a signal handler raise it, as far as its traceback goes?"""
    if threading.current_thread() is not threading.main_thread():
        return False
    if error.__traceback__ is None or error.__traceback__.tb_next is None:
        # By the frame that caught it, or by what that called of C: most often, and quick to tell.
        return False
    from traceback import walk_tb

    codes = _codes_of_handlers()
    return any(frame.f_code in codes for frame, _ in walk_tb(error.__traceback__))


def _codes_of_handlers() -> set[Any]:
    import signal

    return {_code(signal.getsignal(number)) for number in signal.valid_signals()} - {None}


def _code(handler: Any) -> Any:
    while isinstance(handler, partial):
        handler = handler.func
    called = handler if hasattr(handler, "__code__") else vars(type(handler)).get("__call__")
    return getattr(called, "__code__", None)
