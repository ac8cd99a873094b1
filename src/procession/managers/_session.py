"""A client process, as the server of a manager sees it: what it was granted, and its calls.

A session lasts as long as its connection; what it was granted and has not given back is released
when that ends, in whatever way the process did.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from multiprocessing.managers import RemoteError, Token
from traceback import format_exc
from typing import Any

from .._flow.outcome import pack_error
from ..errors import TransferError
from ..reduction import dumps, loads
from ._locks import Lock, serving
from ._objects import gone
from ._wire import NUMBER, RingWire

Reply = tuple[str, Any]


class Session:
    """What one client process, of this name and pid, has of the server, a `_server.Server`."""

    def __init__(self, server: Any, conn: Any, name: str, pid: int) -> None:
        self.server = server
        self.name, self.pid = name, pid
        self._conn = conn
        self._granted: Counter[str] = Counter()
        self._held: set[Lock] = set()
        self._lock = threading.Lock()
        self._has_ended = False

    def serve(self) -> None:
        """Answer what is asked on the connection, until it ends."""
        try:
            while True:
                data = self._conn.recv_bytes()
                number = data[: NUMBER.size]
                carry: list[Any] = []
                self._conn.send_bytes(number + self._answer(data[NUMBER.size :], carry))
                self._carry = carry  # until the next, when this one has been opened
        except (EOFError, OSError):
            pass
        finally:
            with self._lock:
                self._has_ended = True
            # From now on nobody else changes them.
            for ident, grants in self._granted.items():
                self.server.objects.drop(ident, grants)
            for lock in list(self._held):
                lock.abandon(self)

    def look(self) -> None:
        """Raises EOFError if the client has ended."""
        if self._has_ended:
            raise EOFError

    def hold(self, lock: Lock) -> bool:
        """Note that the client holds a lock; False if it has ended."""
        with self._lock:
            if not self._has_ended:
                self._held.add(lock)
            return not self._has_ended

    def let_go(self, lock: Lock) -> None:
        """It holds the lock no more."""
        with self._lock:
            self._held.discard(lock)

    def _answer(self, data: bytes, carry: list[Any]) -> bytes:
        try:
            name, args, kwargs = loads(data)
            return dumps(("#RETURN", self._function(name)(*args, **kwargs)), carry, in_band=True)
        except BaseException:  # noqa: BLE001 - told to whoever asked, SystemExit too
            return dumps(("#TRACEBACK", format_exc()))

    # ---- functions that it may ask for

    def _function(self, name: str) -> Callable[..., Any]:
        own: dict[str, Callable[..., Any]] = {
            "create": self.create,
            "incref": self._incref,
            "release": self._release,
            "open_rings": self._rings,
            "part": self._part,
        }
        return own[name] if name in own else partial(self.server.function(name), self._conn)

    def create(self, typeid: str, /, *args: Any, **kwargs: Any) -> tuple[str, tuple[str, ...]]:
        """Make an object and grant it."""
        ident, exposed = self.server.create(self._conn, typeid, *args, **kwargs)
        self._grant(ident)
        return ident, exposed

    def _incref(self, ident: str) -> None:
        self.server.objects.hold(ident)
        self._grant(ident)

    def _grant(self, ident: str) -> None:
        with self._lock:
            if not self._has_ended:
                self._granted[ident] += 1
                return
        self.server.objects.drop(ident)

    def _release(self, ident: str, grants: int, is_sent: bool) -> None:
        with self._lock:
            self._granted[ident] -= grants
            if not self._granted[ident]:
                del self._granted[ident]
        self.server.objects.drop(ident, grants, is_sent=is_sent)

    def _part(self) -> None:
        """The client has no proxies left, but lives: what it holds, others may give back."""
        with self._lock:
            self._held.clear()

    def _rings(self, requests: Any, replies: Any, name: str) -> None:
        wire = RingWire(replies, requests, self.look)
        self.server.in_thread(name, serve, self, wire)


# ---- calls ---------------------------------------------------------------------------------


def serve(session: Session, wire: Any) -> None:
    """Answer the calls of one thread of a client, until it ends."""
    serving.client = session
    while True:
        try:
            data = wire.take()
        except (EOFError, OSError):
            return
        carry: list[Any] = []
        try:
            packed = wire.pack(_call(session, carry, *wire.open(data)), carry)
        except RemoteError as error:
            packed = wire.pack(("#TRACEBACK", error.args[0]), [])
        except TransferError:
            packed = wire.pack(("#UNSERIALIZABLE", format_exc()), [])
        except BaseException:  # noqa: BLE001 - told to whoever asked
            packed = wire.pack(("#TRACEBACK", format_exc()), [])
        try:
            wire.post(packed)
        except OSError:
            return
        except MemoryError as error:  # the heap has no room for it
            wire.post(wire.pack(("#RAISED", pack_error(error, [])), []))


def _call(
    session: Session, carry: list[Any], ident: str, method: str, kwargs: dict[str, Any] | None, *args: Any
) -> Reply:
    server = session.server
    try:
        obj, exposed, method_to_typeid = server.id_to_obj[ident]
    except KeyError:
        raise RemoteError(gone(ident)) from None
    if method not in exposed:
        return "#RETURN", _fall_back(server, ident, method, obj, *args, **(kwargs or {}))
    try:
        result = getattr(obj, method)(*args, **kwargs) if kwargs else getattr(obj, method)(*args)
    except BaseException as error:  # noqa: BLE001 - the caller's, whatever it is
        return "#RAISED", pack_error(error, carry)
    if method_to_typeid and (typeid := method_to_typeid.get(method)):
        return "#PROXY", _granted(session, typeid, result)
    return "#RETURN", result


def _fall_back(server: Any, ident: str, method: str, obj: Any, *args: Any, **kwargs: Any) -> Any:
    way = server.fallback_mapping.get(method)
    if way is None:
        raise AttributeError(f"{method!r} is not exposed by {type(obj).__name__!r} objects of this manager")
    return way(server, None, ident, obj, *args, **kwargs)


def _granted(session: Session, typeid: str, result: Any) -> tuple[tuple[str, ...], Any, bytes | None]:
    """The methods and the token of a result that stays here, and what its proxy is, by its name."""
    ident, exposed = session.create(typeid, result)
    try:
        proxytype = dumps(session.server.registry[typeid][-1])
    except Exception:  # noqa: BLE001 - then a client must have it registered
        proxytype = None
    return exposed, Token(typeid, session.server.address, ident), proxytype
