"""Python's multiprocessing on a new engine: the same names, as methods of the default context."""

from multiprocessing import __all__ as _names

from . import context as _context

if _context.TYPE_CHECKING:
    import typing as _typing

    from .errors import DeadlockError as DeadlockError
    from .errors import ManagerLostError as ManagerLostError
    from .errors import OwnerDiedError as OwnerDiedError
    from .errors import ShutDown as ShutDown
    from .errors import TaskTimeoutError as TaskTimeoutError
    from .errors import TransferError as TransferError
    from .errors import WorkerLostError as WorkerLostError

_default = _context._default_context

Process = _context.Process
current_process = _default.current_process
parent_process = _default.parent_process
active_children = _default.active_children
cpu_count = _default.cpu_count

Pool = _default.Pool
Manager = _default.Manager

Pipe = _default.Pipe
Queue = _default.Queue
JoinableQueue = _default.JoinableQueue
SimpleQueue = _default.SimpleQueue

Lock = _default.Lock
RLock = _default.RLock
Condition = _default.Condition
Semaphore = _default.Semaphore
BoundedSemaphore = _default.BoundedSemaphore
Event = _default.Event
Barrier = _default.Barrier

Value = _default.Value
Array = _default.Array
RawValue = _default.RawValue
RawArray = _default.RawArray

get_context = _default.get_context
get_start_method = _default.get_start_method
set_start_method = _default.set_start_method
get_all_start_methods = _default.get_all_start_methods
set_executable = _default.set_executable
set_forkserver_preload = _default.set_forkserver_preload
freeze_support = _default.freeze_support
allow_connection_pickling = _default.allow_connection_pickling

get_logger = _default.get_logger
log_to_stderr = _default.log_to_stderr
reducer = _default.reducer

ProcessError = _default.ProcessError
TimeoutError = _default.TimeoutError
BufferTooShort = _default.BufferTooShort
AuthenticationError = _default.AuthenticationError

_errors = (
    "DeadlockError",
    "ManagerLostError",
    "OwnerDiedError",
    "ShutDown",
    "TaskTimeoutError",
    "TransferError",
    "WorkerLostError",
)

__all__ = [*_names, *_errors]  # noqa: PLE0604


def __getattr__(name: str) -> "_typing.Any":
    if name in _errors:
        from . import errors

        return getattr(errors, name)
    if name == "install":
        from ._install import install

        return install
    # Before a room is imported, the import system asks for it here; the finder is one itself.
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._finder import attribute

    return attribute(name)
