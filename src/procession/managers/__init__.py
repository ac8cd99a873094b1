"""Managers: objects in a server process, used by any process through proxies.

Rooms: `_manager` starts and stops servers; `_server`, `_session`, `_objects` are the server's side;
`_proxies`, `_types`, `_link`, `_peer` the client's; `_wire` and `_turn` are both's.

Every class is a subclass of the stdlib's, and both sides understand the stdlib's other side: its
clients may use our servers, and our proxies its servers.
"""

from multiprocessing import managers as _std

from .. import _alias
from ._manager import BaseManager, SharedMemoryManager, SyncManager
from ._proxies import AutoProxy, BaseProxy, MakeProxyType, RebuildProxy
from ._server import Server, SharedMemoryServer
from ._types import (
    AcquirerProxy,
    ArrayProxy,
    BarrierProxy,
    ConditionProxy,
    DictProxy,
    EventProxy,
    IteratorProxy,
    ListProxy,
    NamespaceProxy,
    PoolProxy,
    SetProxy,
    ValueProxy,
)
from ._wire import listener_client

__all__ = [
    "AcquirerProxy",
    "ArrayProxy",
    "AutoProxy",
    "BarrierProxy",
    "BaseManager",
    "BaseProxy",
    "ConditionProxy",
    "DictProxy",
    "EventProxy",
    "IteratorProxy",
    "ListProxy",
    "MakeProxyType",
    "NamespaceProxy",
    "PoolProxy",
    "RebuildProxy",
    "Server",
    "SetProxy",
    "SharedMemoryManager",
    "SharedMemoryServer",
    "SyncManager",
    "ValueProxy",
    "listener_client",
]

Token = _std.Token
__all__ += _std.__all__

_alias.mirror(__name__, _std)
