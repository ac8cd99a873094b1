"""The client's side of a server's management: who asks it to make, keep and drop objects, and how.

A *session* is one connection for the life of the process: what the server has counted for it is
released when it ends, however it ends.  Servers of the stdlib, and other serializers, know no
sessions: each question is a *visit*, a connection of its own, and their counts are nobody's.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from itertools import count
from multiprocessing import process as _process
from multiprocessing.managers import RemoteError, convert_to_error, dispatch  # type: ignore[attr-defined]
from typing import Any

from .. import _family
from ..reduction import dumps, loads
from ._wire import NUMBER, ConnectionWire, ForeignWire, RingWire, listener_client, private

Wire = RingWire | ConnectionWire


def meet(address: Any, serializer: str, authkey: bytes) -> Session | Visits:
    """Get in touch with the server at `address`, in the best way that it knows.

    Raises what connecting and the handshake raise.
    """
    client = listener_client[serializer][1]

    def connect() -> Any:
        return client(address, authkey=authkey)

    if serializer == "pickle":
        conn = connect()
        try:
            who = _family.family(), _process.current_process().name, os.getpid()
            return Session(conn, connect, dispatch(conn, None, "open_session", who))
        except RemoteError:
            conn.close()
    return Visits(connect)


def _caller() -> str:
    """This thread, as the server names the one that serves it."""
    name, thread = _process.current_process().name, threading.current_thread()
    return name if thread is threading.main_thread() else f"{name}|{thread.name}"


class Session:
    """One connection to a server of ours; whoever uses it holds the link's lock."""

    def __init__(self, conn: Any, connect: Callable[[], Any], greeting: tuple[str, bool, str, int]) -> None:
        self._conn = private(conn)
        self._connect = connect
        self._number, self._is_kin, self.server, self.pid = greeting
        self._numbers = count()

    def ask(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function of the server.  EOFError or OSError if it is gone."""
        carry: list[Any] = []
        number = NUMBER.pack(next(self._numbers))
        self._conn.send_bytes(number + dumps((name, args, kwargs), carry, in_band=True))
        # There may be replies to questions that Ctrl-C put an end to.
        while not (data := self._conn.recv_bytes()).startswith(number):
            pass
        kind, result = loads(data[NUMBER.size :])
        if kind == "#RETURN":
            return result
        raise convert_to_error(kind, result)

    def release(self, ident: str, grants: int, is_lent: bool) -> None:
        """Give back all grants of an object; `is_lent`: somebody else may be about to ask for it."""
        self.ask("release", ident, grants, is_lent)

    def wire(self) -> Wire:
        """A way for the calls of this thread."""
        if self._is_kin:
            requests, replies = _family.Ring(), _family.Ring()
            self.ask("open_rings", requests, replies, _caller())
            return RingWire(requests, replies, self.look)
        conn = self._connect()
        dispatch(conn, None, "join_session", (self._number, _caller()))
        return ConnectionWire(conn)

    def look(self) -> None:
        """Raises EOFError if the server is gone."""
        if not self.is_open():
            raise EOFError

    def is_open(self) -> bool:
        """Does the server still hold its end?"""
        poller = select.poll()
        # A socket of TCP hangs up altogether only when both sides have; this tells of the other's.
        try:
            poller.register(self._conn.fileno(), select.POLLRDHUP)
        except OSError:
            return False  # closed by another thread
        return not poller.poll(0)

    def part(self) -> None:
        """Nothing is left here to be counted for, but this process lives."""
        self.ask("part")

    def close(self) -> None:
        """The server releases what it has counted for us."""
        self._conn.close()


class Visits:
    """A server that knows no sessions."""

    server = "a manager"
    pid = None

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect

    def ask(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function of the server."""
        conn = self._connect()
        try:
            return dispatch(conn, None, name, args, kwargs)
        finally:
            conn.close()

    def release(self, ident: str, grants: int, _is_lent: bool) -> None:
        """Give back all grants of an object."""
        for _ in range(grants):
            self.ask("decref", ident)

    def wire(self) -> Wire:
        """A way for the calls of this thread."""
        return ForeignWire(self._connect(), _caller())

    def part(self) -> None:
        """Nobody counts."""

    def is_open(self) -> bool:
        """Nothing is open that could be closed."""
        return True

    def close(self) -> None:
        """Nothing to close."""
