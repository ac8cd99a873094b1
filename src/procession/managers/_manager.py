"""Managers: a server process, and the methods that make objects in it."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterable, Mapping
from multiprocessing import context as _context
from multiprocessing import managers
from multiprocessing import util as _util
from multiprocessing.pool import RemoteTraceback  # type: ignore[attr-defined]
from traceback import format_exc
from typing import Any

from .. import _default
from .. import shared_memory as _memory
from ..connection import Pipe
from ..errors import ManagerLostError
from . import _locks, _proxies, _server, _types, _wire
from ._link import fate, link_to, unlink_from
from ._wire import Secret

_std: Any = managers

__all__ = ["BaseManager", "SharedMemoryManager", "SyncManager"]


class BaseManager(managers.BaseManager):
    """A process that serves objects to others, which use them through proxies.

    `address`: where it listens: a path, or (host, port) for TCP; None for a path of this user's own.
    `authkey`: bytes that clients must know too; by default that of the process.  `serializer`:
    "pickle" or "xmlrpclib".  `ctx`: in which context the process runs, by default the default one.
    `shutdown_timeout`: seconds that `shutdown` gives it to end by itself, and then to be terminated.

    The process ends, with all that it started, when its parent does, however that happens.
    """

    _Server: Any = _server.Server
    _state: Any
    _registry: dict[str, Any]
    _address: Any
    _authkey: bytes
    _serializer: str
    _process: Any
    _ctx: Any
    _shutdown_timeout: float

    def __init__(
        self,
        address: Any = None,
        authkey: bytes | None = None,
        serializer: str = "pickle",
        ctx: _context.BaseContext | None = None,
        *,
        shutdown_timeout: float = 1.0,
    ) -> None:
        listens, connects = _wire.listener_client[serializer]
        # The stdlib's has a table of its own.
        super().__init__(
            address, authkey, "pickle", ctx or _default.get_context(), shutdown_timeout=shutdown_timeout
        )
        self._serializer, self._Listener, self._Client = serializer, listens, connects
        self._authkey = Secret(self._authkey)

    def start(self, initializer: Callable[..., object] | None = None, initargs: Iterable[Any] = ()) -> None:
        """Start the process; there `initializer(*initargs)` is called before anything is served.

        Raises ProcessError for a second start; ManagerLostError if the process ends before it serves,
        with its traceback as the cause if it has left one.
        """
        self._demand_new()
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, not {initializer!r}")
        reader, writer = Pipe(duplex=False)
        server = self._registry, self._address, self._authkey, self._serializer
        self._process = self._ctx.Process(
            target=type(self)._run_server, args=(*server, writer, initializer, initargs)
        )
        self._process.name = f"{type(self).__name__}-{':'.join(map(str, self._process._identity))}"
        # Before it is started: whatever comes in between, the program shall not wait for it at its end.
        guard = _util.Finalize(self, _put_down, (self._process,), exitpriority=0)
        try:
            self._begin(reader, writer)
        except BaseException:
            guard()
            raise
        guard.cancel()

    def _begin(self, reader: Any, writer: Any) -> None:
        with reader:
            with writer:
                self._process.start()
            self._address = self._heard(reader)
        self._state.value = _std.State.STARTED
        ending = (
            self._process,
            self._address,
            self._authkey,
            self._state,
            self._Client,
            self._shutdown_timeout,
        )
        self.shutdown = _util.Finalize(self, type(self)._finalize_manager, args=ending, exitpriority=0)
        if _util.is_exiting():
            # Started by a thread, perhaps too late to be ended by the program's exit, which waits for it.
            self.shutdown()

    def _heard(self, reader: Any) -> Any:
        """The address that the process serves at."""
        try:
            said = reader.recv()
        except EOFError:
            said = _Failure("")
        if not isinstance(said, _Failure):
            return said
        self._process.join()
        text = f"{self._process.name} {fate(self._process.exitcode)} before it served"
        cause = RemoteTraceback(f'\n"""\n{said.traceback}"""') if said.traceback else None
        raise ManagerLostError(errno.EPIPE, text) from cause

    def _demand_new(self) -> None:
        if self._state.value != _std.State.INITIAL:
            super().get_server()  # which says what is wrong

    def connect(self) -> None:
        """Use a server that others have started; raises what `connection.Client` raises."""
        conn = self._Client(self._address, authkey=self._authkey)
        with contextlib.closing(conn):
            _std.dispatch(conn, None, "dummy")
        self._state.value = _std.State.STARTED

    def get_server(self) -> Any:
        """The server, to be run by `serve_forever` in this very process."""
        self._demand_new()
        return self._Server(self._registry, self._address, self._authkey, self._serializer)

    @classmethod
    def register(
        cls,
        typeid: str,
        callable: Callable[..., object] | None = None,
        proxytype: Callable[..., Any] | None = None,
        exposed: Iterable[str] | None = None,
        method_to_typeid: Mapping[str, str] | None = None,
        create_method: bool = True,
    ) -> None:
        """Have managers of this class make objects by `callable`, in a method named `typeid`.

        Without `callable`: objects that another server makes, or methods return.  `proxytype`: what
        stands for them, by default a proxy with all public methods.  `exposed`: the methods that
        proxies may call, by default the `_exposed_` of `proxytype`, else all public ones.
        `method_to_typeid`: methods whose results stay in the manager, and as what.  `create_method`:
        False for what only methods return.
        """
        proxytype = proxytype or _proxies.AutoProxy
        super().register(typeid, callable, proxytype, exposed, method_to_typeid, False)  # type: ignore[arg-type]
        if create_method:
            setattr(cls, typeid, _making(typeid, proxytype))

    @classmethod
    def _run_server(
        cls, registry: Any, address: Any, authkey: Any, serializer: str, writer: Any, *initializer: Any
    ) -> None:
        """What the process runs.  Its owner ends it in time; but not if he is killed."""
        from ..start import lifeline

        lifeline.die_with_parent()
        try:
            super()._run_server(registry, address, authkey, serializer, writer, *initializer)  # type: ignore[misc]
        except Exception:
            if not writer.closed:
                try:
                    writer.send(_Failure(format_exc()))
                except BrokenPipeError:
                    return  # who started it has given up, and knows why
            raise

    def _create(self, typeid: str, /, *args: Any, **kwds: Any) -> tuple[Any, tuple[str, ...]]:
        """Make an object; its token and methods.  This process holds it, as by a proxy."""
        if self._state.value != _std.State.STARTED:
            raise AssertionError(f"this {type(self).__name__} has no server: call start() or connect() first")
        ident, exposed = self._link().grant("create", typeid, *args, **kwds)
        return _proxies.Token(typeid, self._address, ident), exposed

    def _link(self) -> Any:
        return link_to(self._address, self._serializer, self._authkey)

    def _debug_info(self) -> Any:
        return self._link().ask("debug_info")

    def _number_of_objects(self) -> Any:
        return self._link().ask("number_of_objects")

    @staticmethod
    def _finalize_manager(process: Any, address: Any, *args: Any) -> None:
        _std.BaseManager._finalize_manager(process, address, *args)
        unlink_from(address)


def _put_down(process: Any) -> None:
    """End a process of which nobody knows, if it has been started."""
    if process._popen is not None:
        process.kill()
        process.join()


class _Failure:
    """What a server says that could not be made."""

    def __init__(self, traceback: str) -> None:
        self.traceback = traceback


def _making(typeid: str, proxytype: Callable[..., Any]) -> Callable[..., Any]:
    """The method of managers that makes objects of a type."""

    def make(self: BaseManager, /, *args: Any, **kwds: Any) -> Any:
        link = self._link()
        token, exposed = self._create(typeid, *args, **kwds)
        try:
            return proxytype(token, self._serializer, manager=self, authkey=self._authkey, exposed=exposed)
        finally:
            link.release(token.id)

    make.__name__ = typeid
    make.__doc__ = f"Make a {typeid} in the manager; gives a proxy of it."
    return make


class SyncManager(BaseManager, managers.SyncManager):
    """A manager of lists, dicts, sets, namespaces, values, pools, and of threading's and queue's objects."""


class SharedMemoryManager(BaseManager, managers.SharedMemoryManager):
    """A manager of blocks of shared memory, which are unlinked when it ends."""

    _Server = _server.SharedMemoryServer

    def SharedMemory(self, size: int) -> _memory.SharedMemory:
        """A new block of `size` bytes, which lives as long as the manager at most."""
        block = _memory.SharedMemory(create=True, size=size)
        self._track(block)
        return block

    def ShareableList(self, sequence: Iterable[Any] | None) -> _memory.ShareableList:
        """A new list in shared memory, which lives as long as the manager at most."""
        made = _memory.ShareableList(sequence)
        self._track(made.shm)
        return made

    def _track(self, block: _memory.SharedMemory) -> None:
        try:
            self._link().ask("track_segment", block.name)
        except BaseException:
            block.close()
            block.unlink()
            raise


def _pool(*args: Any, **kwds: Any) -> Any:
    from ..pool import Pool

    return Pool(*args, **kwds)


def _register() -> None:
    made = {typeid: entry[0] for typeid, entry in _std.SyncManager._registry.items()}
    proxytypes = {typeid: entry[-1] for typeid, entry in _std.SyncManager._registry.items()}
    made |= {"Pool": _pool, "set": set}
    made |= {"Lock": _locks.Lock, "RLock": _locks.RLock, "Condition": _locks.Condition}
    proxytypes |= {"set": _types.SetProxy}
    for typeid, make in made.items():
        ours = getattr(_types, getattr(proxytypes[typeid], "__name__", ""), _proxies.AutoProxy)
        _proxies.well_known[typeid] = ours
        # What has no callable is what methods of the others return.
        SyncManager.register(typeid, make, ours, create_method=make is not None)


_register()
