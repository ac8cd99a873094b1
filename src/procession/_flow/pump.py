"""Callbacks: a thread that runs them, one after the other, in the order in which jobs end.

It lives while callbacks are owed (and LINGER longer), or while a closed pool has work left, so that
both come to their end though nobody waits.  As long as it has nothing to run it helps to receive, but
leaves that to callers who wait.  Callbacks run in no other thread: not in a caller's, which may hold
locks that they want.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from .helping import Bell
from .job import Job

if TYPE_CHECKING:
    from .scheduler import Scheduler


LINGER = 1.0
"""Seconds without callbacks after which the thread ends."""


class Pump:
    """One pool's thread for callbacks; `closed()` is called in it when a closing pool has become idle."""

    def __init__(self, closed: Callable[[], None]) -> None:
        self._closed = closed
        self._owed: dict[int, Job] = {}
        self._due: deque[Job] = deque()
        self._closing = False
        self._over = False
        self._bell = Bell()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._last: threading.Thread | None = None

    def attach(self, scheduler: Scheduler) -> None:
        """Called once, before anything else."""
        self._scheduler = scheduler

    @property
    def done(self) -> bool:
        """See Waited: is there something to do but wait?"""
        if self._due or self._over:
            return True
        return not self._owed and (not self._closing or self._scheduler.is_idle)

    def owe(self, job: Job) -> None:
        """See Callbacks."""
        self._owed[job._job] = job
        self._bell.ring()
        self._start()

    def due(self, job: Job) -> None:
        """See Callbacks."""
        if self._over:
            self._scheduler.finished(job)
        else:
            self._due.append(job)
            self._scheduler.helpers.wake(self)

    def close(self) -> None:
        """Nothing new will be submitted: see to the end of what is there."""
        self._closing = True
        self._bell.ring()
        self._start()

    def end(self) -> None:
        """Stop, leaving what is owed."""
        self._over = True
        self._owed.clear()
        self._bell.ring()
        self._scheduler.helpers.wake(self)
        while self._due:
            # By whoever is quicker; one that is finished twice is finished.
            with suppress(IndexError):
                self._scheduler.finished(self._due.popleft())

    def finish(self) -> None:
        """Have the callbacks that are owed run, then stop.  Every job has ended before."""
        if (self._due or self._owed) and not self._over and not self.is_current:
            self.close()
            self.join()
        self.end()

    @property
    def is_current(self) -> bool:
        """Is this the thread for callbacks?"""
        return self._last is threading.current_thread()

    def join(self) -> None:
        """Wait for the thread's end, unless this is it."""
        thread = self._last
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def disown(self) -> None:
        """In a forked child: the thread is not here, and what it owes is owed there."""
        self._over, self._thread, self._last = True, None, None
        self._owed.clear()
        self._bell, self._lock = Bell(), threading.RLock()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._over:
                thread = threading.Thread(target=self._run, name="procession-callbacks", daemon=True)
                thread.start()
                self._thread = self._last = thread

    def _run(self) -> None:
        try:
            while self._goes_on():
                self._go_on()
        except BaseException:
            self._thread = None
            raise
        if self._closing and not self._over:
            self._closed()

    def _go_on(self) -> None:
        self._scheduler.helpers.wait(self, patient=True)
        while self._due and not self._over:
            self._call_back(self._due.popleft())
        if not self._owed and not self._closing and not self._over:
            self._bell.wait(LINGER)

    def _goes_on(self) -> bool:
        with self._lock:
            if not self._over and (self._due or not self.done):
                return True
            # Whoever owes after this starts another thread.
            self._thread = None
            return False

    def _call_back(self, job: Job) -> None:
        self._owed.pop(job._job, None)
        if job.done:
            return
        try:
            success, value = job.outcome()
            callback = job._callback if success else job._error_callback
            if callback is not None:
                callback(value)
        except BaseException:  # noqa: BLE001 - it is reported where errors of threads are
            report()
        finally:
            self._scheduler.finished(job)


def report() -> None:
    """Report the current exception as one of this thread, which goes on."""
    kind, error, traceback = sys.exc_info()
    threading.excepthook(threading.ExceptHookArgs((kind, error, traceback, threading.current_thread())))
