"""The proxies of what a SyncManager makes: the stdlib's, by our way of calling."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import managers
from types import GenericAlias
from typing import Any, ClassVar, Self, TypeVar

from ._proxies import BaseProxy, calling

_std: Any = managers
_Kind = TypeVar("_Kind", bound=type[BaseProxy])


def _also(*names: str) -> Callable[[_Kind], _Kind]:
    """Methods that newer versions of the stdlib's proxies have, for all versions."""

    def add(kind: _Kind) -> _Kind:
        for name in names:
            if not any(name in vars(base) for base in kind.__mro__[:-1]):
                setattr(kind, name, calling(name))
        kind._exposed_ = tuple(dict.fromkeys((*getattr(kind, "_exposed_", ()), *names)))
        return kind

    return add


class IteratorProxy(BaseProxy, _std.IteratorProxy):  # type: ignore[misc]
    """Of an iterator or generator."""


@_also("locked")
class AcquirerProxy(BaseProxy, _std.AcquirerProxy):  # type: ignore[misc]
    """Of a lock or semaphore; `locked` of those that can tell, which an RLock can from Python 3.14 on."""


class ConditionProxy(AcquirerProxy, _std.ConditionProxy):  # type: ignore[misc]
    """Of a threading.Condition."""

    _exposed_ = _std.ConditionProxy._exposed_


class EventProxy(BaseProxy, _std.EventProxy):  # type: ignore[misc]
    """Of a threading.Event."""


class BarrierProxy(BaseProxy, _std.BarrierProxy):  # type: ignore[misc]
    """Of a threading.Barrier."""


class NamespaceProxy(BaseProxy, _std.NamespaceProxy):  # type: ignore[misc]
    """Of an object with attributes; those that begin with an underscore are the proxy's own."""


class ValueProxy(BaseProxy, _std.ValueProxy):  # type: ignore[misc]
    """Of an object with a `value`."""


@_also("clear", "copy")
class ListProxy(BaseProxy, _std.ListProxy):  # type: ignore[misc]
    """Of a list."""

    __class_getitem__: Any = classmethod(GenericAlias)


@_also("__ior__", "__or__", "__reversed__", "__ror__", "fromkeys")
class DictProxy(BaseProxy, _std.DictProxy):  # type: ignore[misc]
    """Of a dict."""

    __class_getitem__: Any = classmethod(GenericAlias)

    def __ior__(self, other: Any) -> Self:
        self._callmethod("update", (other,))
        return self


class ArrayProxy(BaseProxy, _std.ArrayProxy):  # type: ignore[misc]
    """Of an array.array."""


class PoolProxy(BaseProxy, _std.PoolProxy):  # type: ignore[misc]
    """Of a Pool whose workers are the manager's children."""


_OPERATORS = ("and", "or", "sub", "xor")
_SET_METHODS = (
    *(f"__{way}{operator}__" for operator in _OPERATORS for way in ("", "r")),
    *(f"__{relation}__" for relation in ("contains", "ge", "gt", "iter", "le", "len", "lt")),
    *("add", "clear", "copy", "difference", "difference_update", "discard", "intersection"),
    *("intersection_update", "isdisjoint", "issubset", "issuperset", "pop", "remove"),
    *("symmetric_difference", "symmetric_difference_update", "union", "update"),
)


@_also(*_SET_METHODS)
class SetProxy(BaseProxy, *([_std.SetProxy] if hasattr(_std, "SetProxy") else [])):  # type: ignore[misc]
    """Of a set."""

    __class_getitem__: Any = classmethod(GenericAlias)
    _method_to_typeid_: ClassVar = {"__iter__": "Iterator"}

    def __iand__(self, other: Any) -> Self:
        self._callmethod("intersection_update", (other,))
        return self

    def __ior__(self, other: Any) -> Self:
        self._callmethod("update", (other,))
        return self

    def __isub__(self, other: Any) -> Self:
        self._callmethod("difference_update", (other,))
        return self

    def __ixor__(self, other: Any) -> Self:
        self._callmethod("symmetric_difference_update", (other,))
        return self
