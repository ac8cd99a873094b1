"""How requests and replies travel between a proxy and its manager.

A *wire* has `send(obj)`, `take()` for the bytes of the next message, `open(bytes)` for the object in
them, and `close()`.  Within a family it is a pair of rings in shared memory; else it is a connection.
Both sides use the same classes.

A request is ``(ident, method, kwargs or None, *args)``: flat, so that pickling one with simple
arguments takes no table of reducers.  A reply is ``(kind, result)``.  To servers of the stdlib, and to
other serializers, requests go as those expect them.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from multiprocessing import connection as _connection
from multiprocessing.managers import dispatch  # type: ignore[attr-defined]
from multiprocessing.process import AuthenticationString  # type: ignore[attr-defined]
from typing import Any

from .. import _family
from ..connection import Client, Listener
from ..reduction import dumps, loads

__all__ = ["ConnectionWire", "ForeignWire", "RingWire", "listener_client", "private"]

LOOK = 1.0
"""Seconds after which somebody who waits at a ring looks whether the other side still lives."""

_END = b""

Call = tuple[Any, ...]


class RingWire:
    """Two rings; `look` raises EOFError if the other side is gone, and is called now and then."""

    __slots__ = ("_into", "_look", "_out", "_pid")

    def __init__(self, out: _family.Ring, into: _family.Ring, look: Callable[[], None]) -> None:
        self._out, self._into, self._look = out, into, look
        self._pid = os.getpid()

    def send(self, obj: object) -> None:
        """Raises what pickling raises, and then nothing was sent."""
        carry: list[Any] = []
        self._out.put(dumps(obj, carry), True, None, 0, carry)

    def take(self) -> bytes:
        """Wait for a message.  EOFError where there will be none."""
        while (data := self._into.get(True, LOOK)) is None:
            self._look()
        if data == _END:
            raise EOFError
        return data

    def open(self, data: bytes) -> Any:
        """The object in the message that was taken last."""
        try:
            return loads(data)
        finally:
            if self._into.carried():
                self._into.drop_carried()

    def close(self) -> None:
        """Tell the other side that no more will come.  A forked child has no say in it."""
        if self._pid == os.getpid():
            self._out.put(_END)

    def __del__(self) -> None:
        self.close()


class ConnectionWire:
    """A connection to a server of ours in another family, or on another machine."""

    __slots__ = ("_conn",)

    def __init__(self, conn: Any) -> None:
        self._conn = private(conn)

    def send(self, obj: object) -> None:
        """Raises what pickling raises, and then nothing was sent."""
        self._conn.send(obj)

    def take(self) -> bytes:
        """Wait for a message.  EOFError where there will be none."""
        data: bytes = self._conn.recv_bytes()
        return data

    def open(self, data: bytes) -> Any:
        """The object in a message."""
        return loads(data)

    def close(self) -> None:
        """Close the connection, which tells the other side."""
        self._conn.close()


class ForeignWire(ConnectionWire):
    """A connection to a server of the stdlib, or one by a serializer of its own."""

    __slots__ = ()

    def __init__(self, conn: Any, name: str) -> None:
        super().__init__(conn)
        dispatch(conn, None, "accept_connection", (name,))

    def send(self, obj: Any) -> None:
        """As the stdlib's proxies do."""
        ident, method, kwargs, *args = obj
        self._conn.send((ident, method, tuple(args), kwargs or {}))

    def take(self) -> Any:
        """The reply itself: a serializer may have no bytes to show."""
        return self._conn.recv()

    def open(self, data: Any) -> Any:
        """Already open."""
        return data


class Secret(AuthenticationString):  # type: ignore[misc]
    """A key that no log shows, not even the stdlib's of what its finalizers are called with."""

    def __repr__(self) -> str:
        return "<authkey>"

    __str__ = __repr__


# ---- connections ---------------------------------------------------------------------------

_private: weakref.WeakSet[Any] = weakref.WeakSet()


def private(conn: Any) -> Any:
    """Have `conn` closed in forked children: only so does its end tell that this process has ended."""
    _private.add(conn)
    return conn


def _after_fork() -> None:
    for conn in list(_private):
        conn.close()
    _private.clear()


os.register_at_fork(after_in_child=_after_fork)


listener_client: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "pickle": (Listener, Client),
    "xmlrpclib": (_connection.XmlListener, _connection.XmlClient),  # type: ignore[attr-defined]
}
"""What listens and what connects, by the name of the serializer; programs may add their own."""
