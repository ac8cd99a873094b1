"""Proxies: what a process holds in the place of an object in a manager."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from multiprocessing import context as _context
from multiprocessing import managers
from multiprocessing import process as _process
from typing import Any

from ..reduction import loads
from ._link import link_to
from ._server import Server
from ._wire import Secret, listener_client

__all__ = ["AutoProxy", "BaseProxy", "MakeProxyType", "RebuildProxy"]

_std: Any = managers
Token = _std.Token

well_known: dict[str, Callable[..., Any]] = {}
"""The proxies of what a SyncManager makes, for those whose server does not tell."""


class BaseProxy(managers.BaseProxy):
    """Stands for an object in a manager, in any process; the object lives as long as proxies do.

    A proxy may be sent anywhere by any way, and works in forked children; there may be one in another
    object of its manager.  Calls by several threads run side by side, and wait for each other only in
    the object.  A call raises what the method raises, with the manager's traceback as its cause;
    ManagerLostError, within seconds, if the manager is gone; RemoteError if the object is.
    """

    _isauto = False
    _exposed_: Iterable[str]

    def __init__(
        self,
        token: Any,
        serializer: str,
        manager: Any = None,
        authkey: bytes | None = None,
        exposed: Any = None,
        incref: bool = True,
        manager_owned: bool = False,
    ) -> None:
        self._token = token
        self._id = token.id
        self._manager = manager
        self._serializer = serializer
        self._Client = listener_client[serializer][1]
        self._owned_by_manager = manager_owned
        if authkey is None and manager is not None:
            authkey = manager._authkey
        self._link = link_to(token.address, serializer, authkey)
        self._authkey = Secret(self._link.authkey)
        if manager_owned:
            release = _hold_inside(token.id)
        else:
            (self._link.hold if incref else self._link.note)(token.id)
            release = self._link.release
        self._close = weakref.finalize(self, release, token.id)
        # At its end a process gives everything back by ending.
        self._close.atexit = False

    def _callmethod(self, methodname: str, args: Iterable[Any] = (), kwds: Any = None) -> Any:
        """Call a method of the object and give back a copy of its result, or a proxy of it.

        The method must be exposed; RemoteError if it is not.
        """
        kind, result = self._link.call((self._id, methodname, kwds, *args))
        if kind == "#RETURN":
            return result
        return self._unusual(kind, result)

    def _unusual(self, kind: str, result: Any) -> Any:
        if kind == "#PROXY":
            return self._proxy_of(*result)
        if kind == "#RAISED":
            from .._flow.outcome import unpack_error

            error = unpack_error(result)
        else:
            error = _std.convert_to_error(kind, result)
        try:
            raise error
        finally:
            del error, result  # they would refer to this frame, and it to them

    def _proxy_of(self, exposed: Any, token: Any, proxytype: bytes | None = None) -> Any:
        token.address = self._token.address
        self._link.granted(token.id)
        try:
            make = self._proxytype(token.typeid, proxytype)
            return make(
                token, self._serializer, manager=self._manager, authkey=self._authkey, exposed=exposed
            )
        finally:
            self._link.release(token.id)

    def _proxytype(self, typeid: str, told: bytes | None) -> Callable[..., Any]:
        """What the manager has registered; its server tells those who have no manager."""
        registry = getattr(self._manager, "_registry", {})
        if typeid in registry:
            return registry[typeid][-1]  # type: ignore[no-any-return]
        return loads(told) if told else well_known.get(typeid, AutoProxy)

    def __reduce__(self) -> tuple[Any, ...]:
        kwds: dict[str, Any] = {}
        if _context.get_spawning_popen() is not None:
            kwds["authkey"] = self._authkey
        if self._isauto:
            kwds["exposed"] = self._exposed_
        self._link.lend(self._id)
        return RebuildProxy, (AutoProxy if self._isauto else type(self), self._token, self._serializer, kwds)


def _hold_inside(ident: str) -> Callable[[str], None]:
    """Have the server, which is in this process, keep an object; gives what releases it."""
    server: Any = _process.current_process()._manager_server  # type: ignore[attr-defined]
    if isinstance(server, Server):
        server.objects.hold(ident)
        return server.objects.put_off_drop
    # The stdlib's keeps for ever what a proxy inside it stands for.
    server.id_to_local_proxy_obj.setdefault(ident, server.id_to_obj[ident])
    return lambda _: None


def RebuildProxy(func: Callable[..., Any], token: Any, serializer: str, kwds: dict[str, Any]) -> Any:
    """What unpickles a proxy."""
    me = _process.current_process()
    server = getattr(me, "_manager_server", None)
    if server is not None and server.address == token.address:
        kwds["manager_owned"] = True
    # A child that is being started does not have the key yet.
    incref = kwds.pop("incref", True) and not getattr(me, "_inheriting", False)
    return func(token, serializer, incref=incref, **kwds)


def MakeProxyType(name: str, exposed: Iterable[str], _cache: dict[Any, Any] = {}) -> Any:  # noqa: B006
    """A subclass of BaseProxy with the methods `exposed`, each of which calls the object's."""
    exposed = tuple(exposed)
    if (name, exposed) not in _cache:
        methods = {method: calling(method) for method in exposed}
        _cache[name, exposed] = type(name, (BaseProxy,), {**methods, "_exposed_": exposed})
    return _cache[name, exposed]


def calling(name: str) -> Callable[..., Any]:
    """A method that calls the object's."""

    def method(self: Any, /, *args: Any, **kwds: Any) -> Any:
        return self._callmethod(name, args, kwds)

    method.__name__ = method.__qualname__ = name
    return method


def AutoProxy(
    token: Any,
    serializer: str,
    manager: Any = None,
    authkey: bytes | None = None,
    exposed: Any = None,
    incref: bool = True,
    manager_owned: bool = False,
) -> Any:
    """A proxy with all methods that the manager has exposed for the object."""
    if authkey is None and manager is not None:
        authkey = manager._authkey
    if exposed is None:
        exposed = link_to(token.address, serializer, authkey).ask("get_methods", token)
    kind = MakeProxyType(f"AutoProxy[{token.typeid}]", exposed)
    proxy = kind(
        token, serializer, manager=manager, authkey=authkey, incref=incref, manager_owned=manager_owned
    )
    proxy._isauto = True
    return proxy
