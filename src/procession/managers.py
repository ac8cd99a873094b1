"""Managers: the stdlib's, with servers that run in our processes and do not outlive their owner."""

from multiprocessing import context as _context
from multiprocessing import managers as _std
from typing import Any

from . import _alias, _default

__all__ = ["BaseManager", "SharedMemoryManager", "SyncManager"]


class BaseManager(_std.BaseManager):
    """The stdlib's, in a process of the default context's unless another is given."""

    def __init__(
        self,
        address: Any = None,
        authkey: bytes | None = None,
        serializer: str = "pickle",
        ctx: _context.BaseContext | None = None,
        **options: Any,
    ) -> None:
        super().__init__(address, authkey, serializer, ctx or _default.get_context(), **options)

    @classmethod
    def _run_server(cls, *args: Any, **kwargs: Any) -> None:
        # Its owner ends it in time; but not if he is killed.
        from .start import lifeline

        lifeline.die_with_parent()
        super()._run_server(*args, **kwargs)  # type: ignore[misc]


class SyncManager(BaseManager, _std.SyncManager):
    """The stdlib's: the objects of threading and queue, lists, dicts and more, by proxy."""


class SharedMemoryManager(BaseManager, _std.SharedMemoryManager):
    """The stdlib's: blocks of named shared memory that are released with the manager."""


_alias.mirror(__name__, _std)
