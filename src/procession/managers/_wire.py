"""How requests and replies travel between a proxy and its manager.

A *wire* takes an object in two steps, since what fails in the first is the object's fault: `pack(obj,
carry)`, then `post`.  `take()` waits for the next message, `open` gives the object in it, and `close()`
ends.  `carry` lists the shared objects that a message keeps alive.  Within a family a wire is a pair of
rings in shared memory; else it is a connection.  Both sides use the same classes.

A request is ``(ident, method, kwargs or None, *args)``: flat, so that pickling one with simple
arguments takes no table of reducers.  A reply is ``(kind, result)``.  To servers of the stdlib, and to
other serializers, requests go as those expect them.
"""

from __future__ import annotations

import os
import struct
import weakref
from collections.abc import Callable
from multiprocessing import connection as _connection
from multiprocessing.managers import dispatch  # type: ignore[attr-defined]
from multiprocessing.process import AuthenticationString  # type: ignore[attr-defined]
from typing import Any

from .. import _family
from ..connection import Client, Listener
from ..reduction import dumps, loads

__all__ = ["NUMBER", "ConnectionWire", "ForeignWire", "RingWire", "Secret", "listener_client", "private"]

LOOK = 1.0
"""Seconds after which somebody who waits at a ring looks whether the other side still lives."""

NUMBER = struct.Struct("!Q")
"""Before each question and reply of a session: the number of the question."""

_END = b""

Packed = tuple[bytes, list[Any]]
"""A pickle, and the shared objects that it carries."""


class RingWire:
    """Two rings; `look` raises EOFError if the other side is gone, and is called now and then."""

    __slots__ = ("_into", "_look", "_out", "_pid")

    def __init__(self, out: _family.Ring, into: _family.Ring, look: Callable[[], None]) -> None:
        self._out, self._into, self._look = out, into, look
        self._pid = os.getpid()

    def pack(self, obj: object, carry: list[Any]) -> Packed:
        """Raises what pickling raises."""
        return dumps(obj, carry), carry

    def post(self, packed: Packed) -> None:
        """Send what was packed.  MemoryError where there is no room, and then nothing was sent."""
        data, carry = packed
        self._out.put(data, True, None, 0, carry)

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

    __del__ = close


class ConnectionWire:
    """A connection to a server of ours in another family, or on another machine."""

    __slots__ = ("_carry", "_conn")

    def __init__(self, conn: Any) -> None:
        self._conn = private(conn)
        self._carry: list[Any] = []

    def pack(self, obj: object, carry: list[Any]) -> Packed:
        """Raises what pickling raises."""
        return dumps(obj, carry, in_band=True), carry

    def post(self, packed: Packed) -> None:
        """Send what was packed.  OSError where the other side is gone."""
        data, self._carry = packed  # kept until the next, when this one has been opened
        self._conn.send_bytes(data)

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

    def pack(self, obj: Any, _carry: list[Any]) -> Any:
        """A request as the stdlib's proxies send it; the connection pickles it."""
        ident, method, kwargs, *args = obj
        return ident, method, tuple(args), kwargs or {}

    def post(self, packed: Any) -> None:
        """Raises what pickling raises, and then nothing was sent."""
        self._conn.send(packed)

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
