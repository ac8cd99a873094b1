"""What this process has to do with one server: references, and ways for the calls of its threads.

All proxies of a server share one link.  It counts them by object, and tells the server only when the
first comes and the last goes.  The server in turn counts *grants*: each time that it hands out an
object, or is asked to keep one, is one more, and the last proxy's end gives all of them back at once.
So a proxy that is on its way to us while another goes cannot be forgotten.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from multiprocessing import process as _process
from multiprocessing import util as _util
from multiprocessing.managers import RemoteError
from typing import Any

from ..errors import ManagerLostError
from ._peer import Session, Visits, Wire, meet
from ._turn import Turn

_links: weakref.WeakValueDictionary[Any, Link] = weakref.WeakValueDictionary()
_every: weakref.WeakValueDictionary[int, Link] = weakref.WeakValueDictionary()
_making = threading.Lock()


def link_to(address: Any, serializer: str, authkey: bytes | None) -> Link:
    """This process's link to the server at `address`.

    Without `authkey`: the key of a link to there that exists, or the process's own.
    """
    with _making:
        link = _links.get(address)
        if link is None or not link.fits(serializer, authkey):
            key = bytes(_process.current_process().authkey) if authkey is None else bytes(authkey)
            former, link = link, Link(address, serializer, key)
            if former is not None:
                link.server = former.server  # until we meet another
            _links[address] = link
        return link


def unlink_from(address: Any) -> None:
    """Forget the link to a server that has been shut down."""
    with _making:
        link = _links.pop(address, None)
    if link is not None:
        link.abandon()


class _Held:
    """What this process has of one object: proxies, and grants of the server."""

    __slots__ = ("grants", "is_lent", "proxies")

    def __init__(self) -> None:
        self.proxies = self.grants = 0
        self.is_lent = False


class Link:
    """The one of this process to the server at `address`."""

    def __init__(self, address: Any, serializer: str, authkey: bytes) -> None:
        self.address, self.authkey, self._serializer = address, authkey, serializer
        self._held: dict[str, _Held] = {}
        self.server = _Server("a manager", None)
        self.reset()
        _every[id(self)] = self
        _util.register_after_fork(self, Link.adopt)

    def reset(self) -> None:
        """In a forked child: connections, threads and grants were the parent's."""
        self._turn = Turn(self._drop)
        self._peer: Session | Visits | None = None
        self._local = threading.local()
        for held in self._held.values():
            held.grants = 0

    def fits(self, serializer: str, authkey: bytes | None) -> bool:
        """Is this the link for proxies with such a key, and is its server still there?"""
        same = serializer == self._serializer and (authkey is None or bytes(authkey) == self.authkey)
        return same and (self._peer is None or self._peer.is_open())

    # ---- calls

    def call(self, request: tuple[Any, ...]) -> Any:
        """Send a request and wait for its reply.

        Each thread has a way of its own, a signal handler in the middle of a call one more.  One
        whose call was interrupted is given up, so that no call gets the reply of another.
        """
        try:
            wire = self._local.idle.pop()
        except (AttributeError, IndexError):
            wire = self._new_wire()
        try:
            packed = wire.pack(request, [])
        except Exception:
            self._local.idle.append(wire)
            raise
        try:
            wire.post(packed)
        except OSError as error:
            raise self.lost() from error
        try:
            data = wire.take()
        except (EOFError, OSError) as error:
            raise self.lost() from error
        try:
            return wire.open(data)
        finally:
            self._local.idle.append(wire)

    def _new_wire(self) -> Wire:
        self._local.__dict__.setdefault("idle", [])
        with self._management() as peer:
            return peer.wire()

    def _is_alive(self) -> bool:
        return isinstance(self._peer, Session) and self._peer.is_open()

    # ---- references

    def ask(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function of the server itself."""
        with self._management() as peer:
            return peer.ask(name, *args, **kwargs)

    def grant(self, name: str, /, *args: Any, **kwargs: Any) -> tuple[str, tuple[str, ...]]:
        """Have the server make an object; its id and methods.  It is held, as by a proxy."""
        with self._management() as peer:
            ident, exposed = peer.ask(name, *args, **kwargs)
            self._grant(ident)
            return ident, exposed

    def granted(self, ident: str) -> None:
        """A reply to this thread has brought an object; it is held, as by a proxy."""
        with self._turn.taken():
            self._grant(ident)

    def _grant(self, ident: str) -> None:
        held = self._held.setdefault(ident, _Held())
        held.proxies += 1
        held.grants += 1

    def hold(self, ident: str) -> None:
        """One more proxy.  Raises RemoteError if there is no such object any more."""
        with self._management() as peer:
            held = self._held.get(ident)
            if held is None or not held.grants:
                peer.ask("incref", ident)
                self._grant(ident)
            else:
                held.proxies += 1

    def note(self, ident: str) -> None:
        """One more proxy, about which `adopt` will tell the server."""
        self._held.setdefault(ident, _Held()).proxies += 1

    def lend(self, ident: str) -> None:
        """A proxy was pickled: another process may soon ask for its object."""
        if ident in self._held:
            self._held[ident].is_lent = True

    def lend_all(self) -> None:
        """This process is forked: its child may soon ask for all that it has."""
        for held in list(self._held.values()):
            held.is_lent = True

    def release(self, ident: str) -> None:
        """One proxy less.  Never raises, never waits for another thread."""
        self._turn.put_off(ident)

    def adopt(self) -> None:
        """In a child: have the server count for it what it has of its parent."""
        if self._held:
            try:
                with self._management():
                    pass
            except Exception as error:  # noqa: BLE001 - the proxies' users will be told
                _util.info("proxies of %r are without their manager: %s", self.address, error)

    def abandon(self) -> None:
        """The server has been shut down: close what is open."""
        with self._turn.taken():
            if self._peer is not None:
                self._peer.close()

    # ---- turns

    @contextlib.contextmanager
    def _management(self) -> Iterator[Session | Visits]:
        """The server's management, for one user at a time."""
        with self._turn.taken():
            try:
                yield self._met()
            except (EOFError, OSError) as error:
                if self._is_alive():
                    raise
                raise self.lost() from error

    def _met(self) -> Session | Visits:
        if self._peer is None:
            self._peer = meet(self.address, self._serializer, self.authkey)
            self.server = _Server(self._peer.server, self._peer.pid)
            for ident, held in list(self._held.items()):
                # One that is gone will be missed when it is used.
                with contextlib.suppress(RemoteError):
                    self._peer.ask("incref", ident)
                    held.grants += 1
        return self._peer

    def _drop(self, ident: str) -> None:
        held = self._held[ident]
        held.proxies -= 1
        if held.proxies:
            return
        del self._held[ident]
        if self._peer is None:
            return
        try:
            self._peer.release(ident, held.grants, held.is_lent)
            if not self._held:
                self._peer.part()
        finally:
            if not self._held:
                self._peer.close()
                self._peer, self._local = None, threading.local()

    def lost(self) -> ManagerLostError:
        """The error that says that the server is gone."""
        return ManagerLostError(
            errno.EPIPE, f"{self.server.name}, which served at {self.address!r}, {self.server.fate()}"
        )


class _Server:
    """What is known of the server's process."""

    def __init__(self, name: str, pid: int | None) -> None:
        self.name = name if pid is None else f"{name} (process {pid})"
        self._pid = pid
        self._exitcode: int | None = None

    def fate(self) -> str:
        """How it came to its end, as far as this process can know."""
        for child in list(_process._children):  # type: ignore[attr-defined]
            # Another thread may just have closed it.
            with contextlib.suppress(ValueError):
                if child.pid == self._pid and child._parent_pid == os.getpid():
                    # Its connections may be closed a moment before it has ended.
                    child.join(1)
                    self._exitcode = child.exitcode
        if self._exitcode is None and self._pid is not None and _goes_on(self._pid):
            return "runs, but has hung up: it may have no memory, threads or descriptors left"
        return fate(self._exitcode)


def fate(exitcode: int | None) -> str:
    """How a process came to its end."""
    if exitcode is None:
        return "is gone: it was shut down or killed"
    if exitcode < 0:
        how = f"signal {-exitcode}"
        # Most of the real-time ones have no name.
        with contextlib.suppress(ValueError):
            how = signal.Signals(-exitcode).name
        return f"was killed by {how}"
    return f"ended with exit code {exitcode}"


def _goes_on(pid: int) -> bool:
    """Does it run a second from now?  The connections of one that ends are closed a moment before."""
    for _ in range(20):
        try:
            with open(f"/proc/{pid}/stat", "rb") as stat:
                state = stat.read().rpartition(b")")[2].split()[0]
        except OSError:
            return False
        if state in (b"Z", b"X"):
            return False
        time.sleep(0.05)
    return True


def _all() -> list[Link]:
    # In one step, since other threads make more.
    return [link for ref in _every.valuerefs() if (link := ref()) is not None]


def _after_fork() -> None:
    global _making
    _making = threading.Lock()
    for link in _all():
        link.reset()


def _before_fork() -> None:
    for link in _all():
        link.lend_all()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
