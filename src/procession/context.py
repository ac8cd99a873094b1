"""A context: where and how processes run, with one factory method a public object.

The names of the package are the methods of the default context.  Rooms are imported when a
method needs them, which keeps `import procession` short.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from multiprocessing import context as _std

from . import _alias, _default
from . import process as _process

TYPE_CHECKING = False  # not typing's: to import that takes a tenth of what importing all of this does
if TYPE_CHECKING:
    from typing import Any, ClassVar, Literal, overload

    from . import connection, managers, pool, queues, synchronize


__all__ = ()


class BaseContext(_std.BaseContext):
    """What all contexts offer."""

    _name: ClassVar[str]
    Process: ClassVar[type[_process.Process]]

    # ---- pipes and queues

    def Pipe(self, duplex: bool = True) -> tuple[connection.Connection, connection.Connection]:
        """Two connected ends; with duplex=False the first only receives and the second only sends.

        Raises OSError where the system has no descriptor left.
        """
        from .connection import Pipe

        return Pipe(duplex)

    def Queue(self, maxsize: int = 0) -> queues.Queue[Any]:
        """A queue for any number of processes, of at most `maxsize` items (zero or less: no limit).

        Raises ValueError for a `maxsize` past 2,147,483,647.
        """
        from .queues import Queue

        return Queue(maxsize, ctx=self.get_context())

    def JoinableQueue(self, maxsize: int = 0) -> queues.JoinableQueue[Any]:
        """A Queue that can be waited for, by `join`, until all its items have been worked off."""
        from .queues import JoinableQueue

        return JoinableQueue(maxsize, ctx=self.get_context())

    def SimpleQueue(self) -> queues.SimpleQueue[Any]:
        """A queue without limit or times: put, get, empty and close."""
        from .queues import SimpleQueue

        return SimpleQueue(ctx=self.get_context())

    # ---- locks

    def Lock(self) -> synchronize.Lock:
        """A lock that one thread of one process holds at a time, and that anybody may release."""
        from .synchronize import Lock

        return Lock(ctx=self.get_context())

    def RLock(self) -> synchronize.RLock:
        """A lock that its owner may take again, and must release as often."""
        from .synchronize import RLock

        return RLock(ctx=self.get_context())

    def Condition(self, lock: Any = None) -> synchronize.Condition:
        """A condition to wait for, under `lock` (a Lock or RLock; by default an RLock of its own).

        Raises TypeError for any other `lock`.
        """
        from .synchronize import Condition

        return Condition(lock, ctx=self.get_context())

    def Semaphore(self, value: int = 1) -> synchronize.Semaphore:
        """A counter that can be taken from while it is not zero; `value` is where it begins.

        Raises ValueError for a negative `value`, or one past 2,147,483,647.
        """
        from .synchronize import Semaphore

        return Semaphore(value, ctx=self.get_context())

    def BoundedSemaphore(self, value: int = 1) -> synchronize.BoundedSemaphore:
        """A Semaphore that refuses, by ValueError, to be given more than it had at first."""
        from .synchronize import BoundedSemaphore

        return BoundedSemaphore(value, ctx=self.get_context())

    def Event(self) -> synchronize.Event:
        """A flag to wait for; it is not set at first."""
        from .synchronize import Event

        return Event(ctx=self.get_context())

    def Barrier(
        self, parties: int, action: Callable[[], object] | None = None, timeout: float | None = None
    ) -> synchronize.Barrier:
        """A place where `parties` threads or processes wait for each other.

        One of them calls `action` before all go on.  `timeout` is in seconds, the default of its
        `wait`; None is for ever.  Raises ValueError for fewer than one party.
        """
        from .synchronize import Barrier

        return Barrier(parties, action, timeout, ctx=self.get_context())

    # ---- shared values

    def RawValue(self, typecode_or_type: Any, *args: Any) -> Any:
        """A ctypes object in shared memory, without a lock; see :func:`procession.sharedctypes.RawValue`."""
        from .sharedctypes import RawValue

        return RawValue(typecode_or_type, *args)

    def RawArray(self, typecode_or_type: Any, size_or_initializer: Any) -> Any:
        """A ctypes array in shared memory, without a lock; see :func:`procession.sharedctypes.RawArray`."""
        from .sharedctypes import RawArray

        return RawArray(typecode_or_type, size_or_initializer)

    def Value(self, typecode_or_type: Any, *args: Any, lock: Any = True) -> Any:
        """A ctypes object in shared memory, guarded by `lock` (True: by an RLock of its own).

        See :func:`procession.sharedctypes.Value`.
        """
        from .sharedctypes import Value

        return Value(typecode_or_type, *args, lock=lock, ctx=self.get_context())

    def Array(self, typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True) -> Any:
        """A ctypes array in shared memory, guarded by `lock` (True: by an RLock of its own).

        See :func:`procession.sharedctypes.Array`.
        """
        from .sharedctypes import Array

        return Array(typecode_or_type, size_or_initializer, lock=lock, ctx=self.get_context())

    # ---- workers

    def Pool(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
    ) -> pool.Pool:
        """Worker processes that run functions, by default as many as this process may use processors.

        See :class:`procession.pool.Pool`.
        """
        from .pool import Pool

        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

    def Manager(self) -> managers.SyncManager:
        """A running server process that holds objects, which are used through proxies.

        It ends with the manager's `shutdown`, with the end of a `with` statement, or with its owner.
        """
        from .managers import SyncManager

        manager = SyncManager(ctx=self.get_context())
        manager.start()
        return manager

    # ---- about the start of processes

    def freeze_support(self) -> None:
        """In a frozen program, at the beginning: if this is a child of it, run that child and exit."""
        if getattr(sys, "frozen", False):
            from .spawn import freeze_support

            freeze_support()

    def allow_connection_pickling(self) -> None:
        """Nothing: connections and sockets can always be given to a process."""

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def get_context(self, method: None = None) -> BaseContext: ...
        @overload
        def get_context(self, method: Literal["fork"]) -> ForkContext: ...
        @overload
        def get_context(self, method: Literal["spawn"]) -> SpawnContext: ...
        @overload
        def get_context(self, method: Literal["forkserver"]) -> ForkServerContext: ...
        @overload
        def get_context(self, method: str | None) -> BaseContext: ...

    def get_context(self, method: str | None = None) -> BaseContext:
        """The context of the start method `method`; this one (of the default: the actual one) if None.

        Raises ValueError for an unknown method.
        """
        return self._itself() if method is None else _context_of(method)

    def _itself(self) -> BaseContext:
        return self


# ---- the default context -------------------------------------------------------------------


class Process(_process.Process, _std.Process):
    """A process of the default start method."""

    @staticmethod
    def _Popen(process_obj: _process.BaseProcess) -> Any:
        return _default_context.get_context().Process._Popen(process_obj)

    @staticmethod
    def _after_fork() -> None:
        _default_context.get_context().Process._after_fork()  # type: ignore[attr-defined]


class DefaultContext(BaseContext, _std.DefaultContext):
    """The context whose start method can be chosen, once; until then it is undecided."""

    Process: ClassVar[type[Process]] = Process
    _default_context: BaseContext
    _actual_context: BaseContext | None

    def _itself(self) -> BaseContext:
        # To ask for it fixes the start method.
        return self._settled() or self._settle(self._default_context)

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Choose the start method of this program.

        Raises RuntimeError if it is fixed already, unless `force`, and ValueError for an unknown
        method; with None and `force` it is undecided again.
        """
        if self._settled() is not None and not force:
            raise RuntimeError(
                "context has already been set: call set_start_method() once, before anything is"
                " started, or use get_context(method)"
            )
        self._actual_context = None if method is None and force else self.get_context(method)

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def get_start_method(self, allow_none: Literal[False] = False) -> str: ...
        @overload
        def get_start_method(self, allow_none: bool) -> str | None: ...

    def get_start_method(self, allow_none: bool = False) -> str | None:
        """The name of the start method.

        Where none was chosen: None if `allow_none`, else the default, which is fixed by that.
        """
        context = self._settled() if allow_none else self.get_context()
        return None if context is None else context._name

    def _settled(self) -> BaseContext | None:
        """The actual context if it is fixed; in a child, to start with, the one that started it."""
        if _process.started_by is not None:
            name, _process.started_by = _process.started_by, None
            self._settle(_concrete_contexts[name])
        return self._actual_context

    def _settle(self, context: BaseContext) -> BaseContext:
        self._actual_context = context
        return context


# ---- one context a start method ------------------------------------------------------------


_popens: dict[str, Callable[[_process.BaseProcess], Any]] = {}
"""By start method; an import statement that has nothing left to do costs as much as the rest of a call."""


def _kind(method: str) -> Callable[[_process.BaseProcess], Any]:
    from importlib import import_module

    popen = _popens[method] = import_module(f".start.{method}", __package__).Popen
    return popen  # type: ignore[no-any-return]


class ForkProcess(_process.Process, _std.ForkProcess):
    """A process started by fork."""

    @staticmethod
    def _Popen(process_obj: _process.BaseProcess) -> Any:
        return (_popens.get("fork") or _kind("fork"))(process_obj)


class SpawnProcess(_process.Process, _std.SpawnProcess):
    """A process started by spawn."""

    @staticmethod
    def _Popen(process_obj: _process.BaseProcess) -> Any:
        return (_popens.get("spawn") or _kind("spawn"))(process_obj)


class ForkServerProcess(_process.Process, _std.ForkServerProcess):
    """A process started by forkserver."""

    @staticmethod
    def _Popen(process_obj: _process.BaseProcess) -> Any:
        return (_popens.get("forkserver") or _kind("forkserver"))(process_obj)


class ForkContext(BaseContext, _std.ForkContext):
    """Children are copies of their parent."""

    Process: ClassVar[type[ForkProcess]] = ForkProcess


class SpawnContext(BaseContext, _std.SpawnContext):
    """Children are new interpreters."""

    Process: ClassVar[type[SpawnProcess]] = SpawnProcess


class ForkServerContext(BaseContext, _std.ForkServerContext):
    """Children are copies of a server that has nothing of their parent in it."""

    Process: ClassVar[type[ForkServerProcess]] = ForkServerProcess


_concrete_contexts: dict[str, BaseContext] = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}
_default_context = DefaultContext(_concrete_contexts["forkserver"])


def _context_of(method: str) -> BaseContext:
    # Contexts that libraries (loky) have added to the stdlib's table are found there.
    context = _concrete_contexts.get(method) or _std._concrete_contexts.get(method)  # type: ignore[attr-defined]
    if context is None:
        known = ", ".join(_concrete_contexts)
        raise ValueError(f"cannot find context for {method!r}: the start methods are {known}")
    context._check_available()
    found: BaseContext = context
    return found


def _force_start_method(method: str) -> None:
    _default_context._actual_context = _concrete_contexts[method]


_default.set_default(_default_context)
_alias.mirror(__name__, _std)
