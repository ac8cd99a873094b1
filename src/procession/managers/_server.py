"""The server of a manager: it accepts, makes sure of the key, and makes and keeps objects.

Clients of the stdlib are served as its own server serves them.  Clients of ours open a session, see
:mod:`procession.managers._session`.  Nothing of a peer is unpickled before it has proven that it has
the key; one that does not do so in time is refused, and holds up nobody else meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from itertools import count
from multiprocessing import managers
from multiprocessing import process as _process
from multiprocessing import util as _util
from traceback import format_exc, format_exception_only
from typing import Any

from .. import _family
from .._handshake import answer_challenge, deliver_challenge
from ._objects import Objects
from ._session import Session, serve
from ._wire import ConnectionWire, Secret, listener_client, private

_std: Any = managers

__all__ = ["Server", "SharedMemoryServer"]

HANDSHAKE = 10.0
"""Seconds that a peer has to prove that it knows the key."""

STRANGERS = 64
"""Peers that may be at it at a time; when more come, the first of them is refused."""

_SERVED = object()

_OF_SEGMENTS = ["track_segment", "release_segment", "list_segments"]
_FOR_CLIENTS = [*managers.Server.public, "open_session", "join_session"]


class Server(managers.Server):
    """Serves the objects of a manager, in the process that calls `serve_forever`.

    `registry`: what can be made, by name.  `address`: where to listen, None for a socket in a
    directory of this user's.  Raises TypeError for an authkey that is no bytes.
    """

    public = _FOR_CLIENTS

    def __init__(self, registry: dict[str, Any], address: Any, authkey: bytes, serializer: str) -> None:
        if not isinstance(authkey, bytes):
            raise TypeError(f"authkey must be bytes, not {type(authkey).__name__}")
        self.registry = registry
        self.authkey = Secret(authkey)
        self.listener = private(listener_client[serializer][0](address=address, backlog=128))
        self.address = self.listener.address
        self.objects = Objects()
        self.id_to_obj, self.id_to_refcount = self.objects.entries, self.objects.counts
        self.id_to_local_proxy_obj = _Inside(self.objects)
        # A callable that makes an object may make others.
        self.mutex = threading.RLock()
        self.stop_event = threading.Event()
        self._sessions: dict[str, Session] = {}
        self._strangers: dict[int, Any] = {}
        self._numbers = count()

    # ---- peers

    def accepter(self) -> None:
        """Accept for ever, each peer into a thread of its own."""
        while not self.stop_event.is_set():
            try:
                conn = private(self.listener.accept())
            except OSError:
                self.stop_event.wait(0.05)  # out of descriptors, or the listener is closed
                continue
            try:
                threading.Thread(target=self.handle_request, args=(conn,), daemon=True).start()
            except RuntimeError as error:
                self._turn_away(conn, error)

    def _turn_away(self, conn: Any, reason: RuntimeError) -> None:
        """Tell a peer why it is not served: there are no threads left, so nobody else is waiting for one."""
        with contextlib.suppress(Exception), conn:
            self._admit(conn)
            conn.recv()
            conn.send(("#TRACEBACK", "".join(format_exception_only(reason))))

    def _handle_request(self, c: Any) -> None:
        try:
            self._admit(c)
        except Exception as error:  # noqa: BLE001 - whatever a stranger may cause
            _util.info("a peer was refused: %s", error)
            return
        try:
            name, args, kwargs = c.recv()[1:]
            result = self.function(name)(c, *args, **kwargs)
        except Exception:  # noqa: BLE001 - told to whoever asked
            reply = "#TRACEBACK", format_exc()
        else:
            if result is _SERVED:
                return
            reply = "#RETURN", result
        with contextlib.suppress(OSError):
            try:
                c.send(reply)
            except Exception:  # noqa: BLE001 - told to whoever asked
                c.send(("#TRACEBACK", format_exc()))

    def _admit(self, conn: Any) -> None:
        """Both ends prove that they know the key, in time."""
        number = next(self._numbers)
        self._strangers[number] = conn
        try:
            if len(self._strangers) > STRANGERS:
                self._refuse_first()
            deadline = time.monotonic() + HANDSHAKE
            deliver_challenge(conn, self.authkey, deadline)
            answer_challenge(conn, self.authkey, deadline)
        finally:
            self._strangers.pop(number, None)

    def _refuse_first(self) -> None:
        with contextlib.suppress(StopIteration, RuntimeError, OSError):
            conn = self._strangers.pop(next(iter(self._strangers)))
            with socket.socket(fileno=os.dup(conn.fileno())) as end:
                end.shutdown(socket.SHUT_RDWR)

    # ---- clients of ours

    def open_session(self, c: Any, family: int, name: str, pid: int) -> object:
        """Serve a client process on this connection until it ends."""
        number = secrets.token_hex(8)
        session = self._sessions[number] = Session(self, private(c), name, pid)
        is_kin = family == _family.family()
        try:
            c.send(("#RETURN", (number, is_kin, _process.current_process().name, os.getpid())))
            session.serve()
        finally:
            del self._sessions[number]
        return _SERVED

    def join_session(self, c: Any, number: str, name: str) -> object:
        """Serve a thread of a client on this connection until it ends."""
        session = self._sessions[number]
        threading.current_thread().name = name
        c.send(("#RETURN", None))
        serve(session, ConnectionWire(c))
        return _SERVED

    def function(self, name: str) -> Callable[..., Any]:
        """The function of the server that clients know by this name; its first argument is who asks."""
        if name not in self.public:
            raise AttributeError(f"{name!r} is no function of a manager's server")
        return getattr(self, name)  # type: ignore[no-any-return]

    def in_thread(self, name: str, run: Callable[..., object], *args: Any) -> None:
        """Run something beside what is going on."""
        threading.Thread(target=run, args=args, name=name, daemon=True).start()

    # ---- objects; these are asked for by clients of the stdlib, and by sessions

    def create(self, c: Any, typeid: str, /, *args: Any, **kwds: Any) -> tuple[str, tuple[str, ...]]:
        """Make an object, with one reference to it; its id and methods."""
        with self.mutex:
            make, exposed, method_to_typeid, _ = self.registry[typeid]
            if make is None:
                if kwds or len(args) != 1:
                    raise ValueError(
                        f"{typeid!r} has no callable: give it one positional argument, the object"
                    )
                obj = args[0]
            else:
                obj = make(*args, **kwds)
            if exposed is None:
                exposed = _std.public_methods(obj)
            if method_to_typeid is not None:
                if not isinstance(method_to_typeid, dict):
                    raise TypeError(f"method_to_typeid must be a dict, not {method_to_typeid!r}")
                exposed = [*exposed, *method_to_typeid]
            return self.objects.add(typeid, obj, set(exposed), method_to_typeid), tuple(exposed)

    def incref(self, c: Any, ident: str) -> None:
        """One reference more."""
        self.objects.hold(ident)

    def decref(self, c: Any, ident: str) -> None:
        """One reference less."""
        self.objects.drop(ident)


class _Inside(dict[str, Any]):
    """Where proxies of the stdlib's say that they are inside an object: what they stand for is kept."""

    def __init__(self, objects: Objects) -> None:
        super().__init__()
        self._objects = objects

    def __setitem__(self, ident: str, entry: Any) -> None:
        self._objects.hold(ident)
        super().__setitem__(ident, entry)


class SharedMemoryServer(Server, _std.SharedMemoryServer):  # type: ignore[misc]
    """A server that tracks blocks of shared memory, and unlinks them when it ends."""

    public = _FOR_CLIENTS + _OF_SEGMENTS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        address = self.address
        name = f"shm_{os.fsdecode(address) if isinstance(address, bytes) else address}_{os.getpid()}"
        self.shared_memory_context = _std._SharedMemoryTracker(name)

    def create(self, c: Any, typeid: str, /, *args: Any, **kwargs: Any) -> tuple[str, tuple[str, ...]]:
        """As the server's; what makes objects on shared memory gets the tracker too."""
        if hasattr(self.registry[typeid][-1], "_shared_memory_proxy"):
            kwargs["shared_memory_context"] = self.shared_memory_context
        return Server.create(self, c, typeid, *args, **kwargs)
