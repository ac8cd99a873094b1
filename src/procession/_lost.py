"""WorkerLostError, alone in a module because the module of its second parent is slow to import.

Imported by :mod:`procession.errors` when somebody asks for the name there.
"""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from multiprocessing import ProcessError
from typing import Any

from ._travelling import Travelling


class WorkerLostError(Travelling, ProcessError, BrokenProcessPool):
    """A process died before it finished what it was given.

    `pid`, `name`: the process.  `exitcode`: as of ``Process.exitcode``, negative for a signal.
    `signal`: the signal that killed it, None if none did.  `cause`: what is known of the reason.
    `task`: the call that it was working on, in words.  All are None where they are not known.
    """

    __module__ = "procession.errors"

    def __init__(
        self,
        message: str,
        *,
        pid: int | None = None,
        name: str | None = None,
        exitcode: int | None = None,
        signal: int | None = None,
        cause: Any = None,
        task: Any = None,
    ) -> None:
        super().__init__(message)
        self.pid = pid
        self.name = name
        self.exitcode = exitcode
        self.signal = signal
        self.cause = cause
        self.task = task
