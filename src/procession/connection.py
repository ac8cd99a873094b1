"""Connections: Pipe, Connection, wait, and the stdlib's listeners and clients, which give ours.

A Connection is a descriptor: it is readable exactly while a message waits, no message is read ahead,
and what goes over it is what the stdlib's Connection sends and expects, so either end may be the
stdlib's.  Any number of threads may share one.  Between the ends of a Pipe a small message goes from hand to
hand instead, where a receiver looks out for it; as soon as the descriptor is known to anybody, all go by it.

The names of the stdlib's module that are not here are its own.
"""

from __future__ import annotations

import io
import math
import os
import select
import socket
import time
from collections import deque
from collections.abc import Iterable
from multiprocessing import connection as _std
from multiprocessing import reduction as _handles
from typing import TYPE_CHECKING, Any, SupportsIndex

from . import _alias, _family
from ._framing import Inbox, Outbox
from ._reception import Reception
from .reduction import dumps

if TYPE_CHECKING:
    _Base = _std.Connection[Any, Any]
else:
    _Base = _std.Connection

__all__ = ["Client", "Listener", "Pipe", "wait"]

# How many of the shared objects that were sent last a Connection keeps alive for the receiver.
_KEPT = 256

# What is no message.
_NOTHING = object()

# The longest wait that poll(2) takes at once, in milliseconds.
_LONGEST = 0x7FFFFFFF


class Connection(_Base):
    """One end of a pipe or socket, whose descriptor it owns.

    `handle`: the descriptor.  `readable`, `writable`: what it may be used for; one at least.
    Raises ValueError for a negative handle, or where both are False.

    It can be pickled at any time, for a child that is being started and through queues; the
    receiver gets a duplicate of the descriptor.  Using a closed one is an OSError, sending where
    nobody can receive any more a BrokenPipeError, receiving where nothing can come an EOFError.
    """

    _handle: Any  # the descriptor, None when closed
    _readable: bool
    _writable: bool

    def __init__(self, handle: SupportsIndex, readable: bool = True, writable: bool = True) -> None:
        super().__init__(handle, readable, writable)
        self._inbox, self._outbox = Inbox(), Outbox()
        self._inward: _family.Relay | None = None
        self._outward: _family.Relay | None = None
        self._sent: deque[Any] = deque(maxlen=_KEPT)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), _handles.DupFd(self.fileno()), self._readable, self._writable)

    def fileno(self) -> int:
        """The descriptor, for `select` and its like.  Raises OSError if this end is closed.

        Once it is known, messages from and to this end go by nothing else, and somewhat slower.
        """
        # Whoever gets to know it may send by it, and does not count that.
        for relay in (self._inward, self._outward):
            if relay is not None:
                relay.close()
        self._inward = self._outward = None
        return self._watched()

    def send(self, obj: object) -> None:
        """Send an object, to be taken by `recv` on the other end; waits while there is no room.

        Raises TransferError if it cannot be pickled, and then nothing is sent; BrokenPipeError if
        nobody can receive it, OSError if this end is closed.
        """
        if self._handle is None or not self._writable:
            self._check_closed()
            self._check_writable()
        if self._outward is not None and self._outward.give(obj):
            return
        data = _family.dumps_plain(obj)
        if data is not None:
            self._outbox.send(self._handle, data)
            return
        carry: list[Any] = []
        data = dumps(obj, carry, in_band=True)
        self._sent.extend(carry)
        self._send_bytes(data)

    def recv(self) -> Any:
        """Wait for the next object and take it.

        Raises EOFError if the other end has gone, OSError if this one is closed, and what rebuilding
        the object raises, which then is gone.
        """
        if self._handle is None or not self._readable:
            self._check_closed()
            self._check_readable()
        if self._inward is not None:
            obj = self._inward.catch(_NOTHING)
            if obj is not _NOTHING:
                return obj
        data = self._inbox.receive(self._handle)
        return self._bad_message_length() if data is None else _family.loads(data)

    def recv_bytes_into(self, buf: Any, offset: int = 0) -> int:
        """Take the next message into a writable buffer, from byte `offset` on; gives its length.

        Raises BufferTooShort, with the message as its argument, if it does not fit.
        """
        self._check_closed()
        self._check_readable()
        with memoryview(buf) as view:
            if not 0 <= offset <= view.nbytes:
                raise ValueError("negative offset" if offset < 0 else "offset too large")
            if view.readonly:
                raise TypeError(
                    f"a buffer to receive into must not be read-only, as this {type(buf).__name__} is"
                )
            target = view.cast("B") if view.nbytes else memoryview(bytearray())
            with target, target[offset:] as room:
                size = self._inbox.receive_into(self._handle, room)
        return self._bad_message_length() if size is None else size

    # ---- what the stdlib's methods, which check their arguments, are made of

    def _send_bytes(self, buf: memoryview | bytes) -> None:
        if self._outward is None or not self._outward.give_bytes(buf):
            self._outbox.send(self._handle, buf)

    def _recv_bytes(self, maxsize: int | None = None) -> io.BytesIO | None:
        # A longer one must be left where it is, so it must come by the stream.
        data = self._inward.catch_bytes() if self._inward is not None and maxsize is None else None
        if data is None:
            data = self._inbox.receive(self._handle, maxsize)
        return None if data is None else io.BytesIO(data)  # shares the bytes, does not copy them

    def _poll(self, timeout: float | None) -> bool:
        return bool(wait([self], timeout))

    # ---- what is ours alone

    def _watched(self) -> int:
        """The descriptor, for who only looks whether it is readable."""
        self._check_closed()
        fd: int = self._handle
        return fd

    def _join(self, inward: _family.Relay | None, outward: _family.Relay | None) -> Connection:
        if inward is not None:
            self._inbox.join(inward)
        if outward is not None:
            self._outbox.join(outward)
        self._inward, self._outward = inward, outward
        return self

    if TYPE_CHECKING:

        def _check_closed(self) -> None: ...
        def _check_readable(self) -> None: ...
        def _check_writable(self) -> None: ...
        def _bad_message_length(self) -> int: ...


def _rebuild(kind: type[Connection], handle: Any, readable: bool, writable: bool) -> Connection:
    made = kind.__new__(kind)  # a subclass may ask for other arguments
    Connection.__init__(made, handle.detach(), readable, writable)
    return made


def reduce_connection(conn: Connection) -> tuple[Any, ...]:
    """What pickles a Connection."""
    return conn.__reduce__()


def rebuild_connection(df: Any, readable: bool, writable: bool) -> Connection:
    """A Connection on the duplicate of a descriptor."""
    return _rebuild(Connection, df, readable, writable)


def Pipe(duplex: bool = True) -> tuple[Connection, Connection]:
    """Two connected ends; with duplex=False the first only receives and the second only sends.

    Raises OSError where the system has no descriptor left.
    """
    if not duplex:
        reader, writer = os.pipe()
        relay = _relay()
        return (
            Connection(reader, writable=False)._join(relay, None),
            Connection(writer, readable=False)._join(None, relay),
        )
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(True)  # whatever socket.setdefaulttimeout says
    there, back = _relay(), _relay()
    return (
        Connection(ends[0].detach())._join(back, there),
        Connection(ends[1].detach())._join(there, back),
    )


def _relay() -> _family.Relay | None:
    try:
        return _family.Relay()
    except (OSError, MemoryError, RuntimeError):
        return None  # no shared memory is to be had: then all goes by the descriptor


# ---- waiting -------------------------------------------------------------------------------


def wait(object_list: Iterable[Any], timeout: float | None = None) -> list[Any]:
    """Wait until one or more of these are readable, and give those, in their order.

    They may be connections, sockets, queues' readers, processes' sentinels, descriptors: whatever
    has a `fileno` or is one.  `timeout` is in seconds; None waits for ever, zero or less not at
    all.  The end of a stream is readable.  Raises ValueError for what is no descriptor.
    """
    watched = [(_descriptor(thing), thing) for thing in object_list]
    poller = select.poll()
    for fd, _ in watched:
        poller.register(fd, select.POLLIN)
    ready = {fd for fd, _ in _poll(poller, timeout)}
    return [thing for fd, thing in watched if fd in ready]


def _descriptor(thing: Any) -> int:
    try:
        if isinstance(thing, Connection):
            fd = thing._watched()
        else:
            fd = thing if isinstance(thing, int) else int(thing.fileno())
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"this is no connection, socket, sentinel or descriptor: {thing!r}") from None
    if fd < 0:
        raise ValueError(f"this has no valid descriptor, but {fd}: {thing!r}")
    return fd


def _poll(poller: select.poll, timeout: float | None) -> list[tuple[int, int]]:
    if timeout is None:
        return poller.poll()
    deadline = time.monotonic() + timeout
    while True:
        # Rounded up: a wait must not end before its time.
        left = math.ceil(max(0.0, deadline - time.monotonic()) * 1000)
        ready = poller.poll(min(left, _LONGEST))
        if ready or left <= _LONGEST:
            return ready


# ---- listeners and clients -----------------------------------------------------------------


class Listener(_std.Listener):
    """Where clients connect to, from this machine or another; in a `with` statement it is closed at its end.

    `address`: (host, port), or a path for a Unix socket; by default one is made up, see its
    `address`.  `family`: "AF_INET" or "AF_UNIX", by default what the address looks like.  `backlog`:
    how many clients may wait.  `authkey`: what clients must know, None for no such demand.

    Raises OSError where the system refuses the address, TypeError if `authkey` is no bytes.
    """

    _reception: Reception | None = None

    def accept(self) -> Connection:
        """Wait for a client and give the connection with it.

        Where there is an `authkey`, clients prove beside each other that they know it: one that is
        silent or slow keeps nobody waiting, and is refused after 20 seconds.  Raises AuthenticationError
        for one with another key, EOFError or OSError for one that goes meanwhile; then accept again.
        """
        own: Any = self
        if own._listener is None or not own._authkey:
            return _taken_over(super().accept())
        if self._reception is None:
            self._reception = Reception(own._listener, own._authkey)
        return _taken_over(self._reception.accept())

    def close(self) -> None:
        """Close the socket, and refuse those who have not yet proved that they know the key."""
        super().close()
        if self._reception is not None:
            self._reception.close()


def Client(address: Any, family: str | None = None, authkey: bytes | None = None) -> Connection:
    """A connection to the Listener at `address`; `family` and `authkey` as there.

    Raises AuthenticationError if one of the two does not know the key of the other, OSError
    (ConnectionRefusedError, FileNotFoundError) where nobody listens.
    """
    return _taken_over(_std.Client(address, family, authkey))


def SocketClient(address: Any) -> Connection:
    """A connection to the socket at `address`."""
    return _taken_over(_std.SocketClient(address))  # type: ignore[attr-defined]


class SocketListener(_std.SocketListener):  # type: ignore[name-defined, misc]
    """A listening socket; a Listener has one."""

    def accept(self) -> Connection:
        """Wait for a client and give the connection with it."""
        return _taken_over(super().accept())


def _taken_over(conn: Any) -> Connection:
    fd, conn._handle = conn._handle, None
    return Connection(fd, conn.readable, conn.writable)


_alias.mirror(__name__, _std)
