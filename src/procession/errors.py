"""Every exception of procession, and the ones of the stdlib that it raises.

::

    ProcessError                    the stdlib's, parent of all
    ├─ TimeoutError                 the stdlib's: a wait ran out of time
    │   └─ TaskTimeoutError         a task ran longer than it may; also the builtin TimeoutError
    ├─ BufferTooShort               the stdlib's: recv_bytes_into got more than fits
    ├─ AuthenticationError          the stdlib's: the other end has another key
    ├─ WorkerLostError              a task's process died; also a BrokenProcessPool
    ├─ OwnerDiedError               a lock's holder died; the lock is free again
    ├─ ManagerLostError             a manager is gone; also the errors of connections, and an EOFError
    ├─ DeadlockError                a cycle of waits
    └─ TransferError                a value cannot travel; also a PicklingError
        ├─ TransferTypeError        the same, where pickling raised a TypeError
        ├─ TransferAttributeError   the same, where it raised an AttributeError
        └─ TransferRecursionError   the same, where it raised a RecursionError

ShutDown, for queues that were shut down, is that of the module queue from Python 3.13 on.

Those made here can be pickled with all that they carry, and so can subclasses, whatever their
``__init__`` asks for.  The three kinds of TransferError exist for programs that catch what plain
pickling raises.  WorkerLostError is made when first asked for: its parent's module is slow to import.
"""

from __future__ import annotations

import builtins
import pickle
import sys
from multiprocessing import AuthenticationError, BufferTooShort, ProcessError, TimeoutError
from typing import TYPE_CHECKING, Any

from ._travelling import Travelling

if TYPE_CHECKING:
    from ._lost import WorkerLostError

__all__ = [
    "AuthenticationError",
    "BufferTooShort",
    "DeadlockError",
    "ManagerLostError",
    "OwnerDiedError",
    "ProcessError",
    "ShutDown",
    "TaskTimeoutError",
    "TimeoutError",
    "TransferAttributeError",
    "TransferError",
    "TransferRecursionError",
    "TransferTypeError",
    "WorkerLostError",
]


if sys.version_info >= (3, 13):
    from queue import ShutDown
else:

    class ShutDown(Exception):  # noqa: N818 - the name is the stdlib's, which has it from 3.13
        """A queue was shut down: it takes no more items, and has none to give."""


class OwnerDiedError(Travelling, ProcessError):
    """The process that held a lock died; what the lock guards may be half changed.

    Raised once, in one waiter or the next caller.  The lock is free again: take it, repair what
    it guards, and go on.

    `pid`: of the process that died.  `name`: its name, if known.  `tid`: the thread that took
    the lock, if known.
    """

    def __init__(self, pid: int, name: str | None = None, tid: int | None = None) -> None:
        thread = "" if tid is None or tid == pid else f", thread {tid}"
        super().__init__(
            f"process {called(pid, name)}{thread} died while it held the lock;"
            " what the lock guards may be half changed; the lock is free again"
        )
        self.pid = pid
        self.name = name
        self.tid = tid


def called(pid: int, name: str | None) -> str:
    """A process in messages."""
    return str(pid) if name is None else f"{name!r} ({pid})"


class DeadlockError(Travelling, ProcessError):
    """Processes or threads wait for each other's locks in a circle.

    Raised in one of them, which takes nothing and goes on holding what it holds; the others go on
    when it gives that back.  The message says who holds and wants what; locks are named by their
    ``handle``.

    `pids`: of the processes in the circle, the one that was told first.
    """

    def __init__(self, message: str, *, pids: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.pids = pids


class ManagerLostError(
    Travelling, ProcessError, BrokenPipeError, ConnectionResetError, ConnectionRefusedError, EOFError
):
    """The server process of a manager has ended; the message names it, and how it ended if known.

    It is each of the errors that such a connection may break with, for programs that catch one.
    """


class TaskTimeoutError(Travelling, TimeoutError, builtins.TimeoutError):
    """A task ran longer than it may; the message names the task and its limit."""


class TransferError(Travelling, ProcessError, pickle.PicklingError):
    """A value cannot be sent to another process: it cannot be pickled, or not be rebuilt.

    `path` leads from the value to the part that cannot travel, as in ``args[0].rows['x']``; it
    is empty where the value itself is meant or the part was not found.  ``__cause__`` is what
    pickle, or the value's own ``__reduce__`` or ``__getstate__``, raised.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class TransferTypeError(TransferError, TypeError):
    """A TransferError that is also a TypeError, as pickle raises for a lock or a file."""


class TransferAttributeError(TransferError, AttributeError):
    """A TransferError that is also an AttributeError, as pickle raises for a local function."""


class TransferRecursionError(TransferError, RecursionError):
    """A TransferError that is also a RecursionError: a value is nested too deeply."""


def __getattr__(name: str) -> Any:
    if name == "WorkerLostError":
        from ._lost import WorkerLostError

        globals()[name] = WorkerLostError
        return WorkerLostError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
