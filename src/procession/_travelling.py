"""How the exceptions of procession are pickled.  Used by :mod:`procession.errors` alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Travelling(BaseException):
    """Mixed into an exception, makes its pickle carry ``args`` and attributes past ``__init__``.

    An exception's own ``__reduce__`` calls ``__init__`` with ``args``, which fails where the two
    differ, as they do with keyword-only arguments or in a subclass that composes its message.
    """

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        return _rebuild, (type(self), self.args), self.__dict__.copy()


def _rebuild(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    return kind.__new__(kind, *args)
