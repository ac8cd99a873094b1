"""What the tests of pickling send, and what their scripts begin with."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from procession.reduction import dumps, loads

ROOT = Path(__file__).parent.parent
ENV = {"PYTHONPATH": str(ROOT)}

PRELUDE = """
import abc, asyncio, collections, contextlib, dataclasses, enum, functools, sys, typing
from procession.reduction import dumps, loads
from tests.other_side import Other
other = Other()
"""

LOCK = threading.Lock()


def copy(thing: Any) -> Any:
    return loads(dumps(thing))


class Box:
    """An instance with the attributes that it is given."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return 1

    def method(self) -> "Box":
        return self

    def __private(self) -> str:
        return "found"

    def private_method(self) -> Callable[[], str]:
        return self.__private


class Bad:
    """Its pickling raises what it is given."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __getstate__(self) -> Any:
        raise self.error
