"""Clients of a listener that have yet to prove that they know its key.

They prove it beside each other: one that is silent, slow or sends nonsense keeps nobody else from
being accepted.  Nothing of what they send is unpickled, and of each no more is read than the handshake.

Used by :mod:`procession.connection`.
"""

from __future__ import annotations

import math
import os
import select
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from multiprocessing import AuthenticationError
from typing import Any

from . import _handshake

PATIENCE = 20.0
"""Seconds in which a client must have proved it."""
GUESTS = 100
"""Clients that may be at it at once; then the one that has been longest at it must go."""

Script = Generator[bytes, bytes, None]


class Guest:
    """A client in the middle of the handshake."""

    def __init__(self, conn: Any, address: Any, script: Script) -> None:
        self.conn, self.address, self._script = conn, address, script
        self.deadline = time.monotonic() + PATIENCE
        self._came = b""
        self._say(next(script))

    def go_on(self) -> bool:
        """Read what is there; True if the client has proved it.

        Raises AuthenticationError if it has not, EOFError and OSError if it has gone.
        """
        part = os.read(self.conn.fileno(), _handshake.missing(self._came))
        if not part:
            raise EOFError("the client has gone in the middle of the handshake")
        self._came += part
        try:
            return not _handshake.missing(self._came) and self._hear()
        except AuthenticationError:
            with suppress(OSError):
                self._say(_handshake.FAILURE)
            raise

    def _hear(self) -> bool:
        message, self._came = _handshake.body(self._came), b""
        try:
            self._say(self._script.send(message))
        except StopIteration:
            return True
        return False

    def _say(self, message: bytes) -> None:
        # Never waits: all that is said fits a socket's buffer.
        self.conn.send_bytes(message)


class Reception:
    """Where the clients of one listening socket prove that they know the key."""

    def __init__(self, listener: Any, authkey: bytes) -> None:
        self._listener, self._authkey = listener, authkey
        self._guests: dict[int, Guest] = {}
        self._turn = threading.Lock()

    def accept(self) -> Any:
        """Wait for a client that knows the key, and give the connection with it.

        Raises AuthenticationError where one has another key or speaks otherwise, EOFError and
        OSError where one goes away meanwhile; others may then be accepted as before.
        """
        with self._turn:
            while True:
                self._refuse_the_slow()
                for fd in self._ready():
                    if fd == self._listener._socket.fileno():
                        self._let_in()
                    elif guest := self._hear(fd):
                        self._listener._last_accepted = guest.address
                        return guest.conn

    def close(self) -> None:
        """Those who are at it are refused."""
        while self._guests:
            self._guests.popitem()[1].conn.close()

    def _ready(self) -> list[int]:
        poller = select.poll()
        for fd in (self._listener._socket.fileno(), *self._guests):
            poller.register(fd, select.POLLIN)
        return [fd for fd, _ in poller.poll(self._left())]

    def _left(self) -> int | None:
        """Milliseconds until somebody is too slow."""
        ends = [guest.deadline for guest in self._guests.values()]
        return math.ceil(max(0.0, min(ends) - time.monotonic()) * 1000) if ends else None

    def _let_in(self) -> None:
        conn = self._listener.accept()
        fd = conn.fileno()
        if len(self._guests) >= GUESTS:
            self._guests.pop(next(iter(self._guests))).conn.close()
        try:
            self._guests[fd] = Guest(conn, self._listener._last_accepted, _handshake.script(self._authkey))
        except BaseException:
            conn.close()
            raise

    def _hear(self, fd: int) -> Guest | None:
        guest = self._guests.pop(fd, None)
        if guest is None:
            return None  # shown out just now, for one who came
        try:
            if guest.go_on():
                return guest
        except BaseException:
            guest.conn.close()
            raise
        self._guests[fd] = guest
        return None

    def _refuse_the_slow(self) -> None:
        now = time.monotonic()
        for fd in [fd for fd, guest in self._guests.items() if guest.deadline <= now]:
            self._guests.pop(fd).conn.close()
