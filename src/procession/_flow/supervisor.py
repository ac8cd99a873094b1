"""Who has died, and what of it: the crew of worker processes, watched by a thread of its own.

The thread sleeps until a worker has ended.  It finds out by the claims what the worker had in hand,
has the scheduler fail the one task and send the others again, and starts a replacement.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the same without enums, a cost for each worker
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import util as _util
from time import monotonic
from typing import Any

from .. import _private as private
from ..start import pidfd
from .channel import Channel, Hire
from .crew import Crew, Member
from .oom import Count
from .thread import Thread

GRACE = 1.0
"""Seconds from SIGTERM to SIGKILL for workers that have their own way with SIGTERM."""
RETRY = 0.5
"""Seconds until the start of a worker is tried again that the system has refused."""


class ProcessCrew(Crew):
    """Processes, replaced when they end."""

    def __init__(self, size: int, channel: Channel, hire: Hire) -> None:
        super().__init__(size, channel, hire)
        self._bell = -1
        self._ringing = threading.RLock()
        self._thread: threading.Thread | None = None
        self._killed_for_memory: Count | None = None

    def fill(self) -> None:
        """See Crew.  If one cannot be started at first, the others are ended again."""
        try:
            super().fill()
        except BaseException:
            if self._thread is None:
                self._give_up()
            raise

    def watch(self) -> None:
        """Start the thread that watches."""
        self._bell = private.keep(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        self._thread = Thread(self._run, "procession-supervisor")
        self._thread.start()

    def dismiss(self) -> None:
        """See Crew."""
        super().dismiss()
        self._ring()

    def end(self) -> None:
        """See Crew: SIGTERM, and SIGKILL for those who are still there after a moment."""
        self._over = True
        self._ring()
        workers = tuple(self.workers)
        for worker in workers:
            if worker.exitcode is None:
                worker.terminate()
        deadline = monotonic() + GRACE
        for worker in workers:
            worker.join(max(0, deadline - monotonic()))
            if worker.exitcode is None:
                worker.kill()
                worker.join()

    def join(self) -> None:
        """See Crew."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
            # Forked children look at every thread that there is, though it has ended.
            self._thread = None
        super().join()

    def disown(self) -> None:
        """See Crew."""
        super().disown()
        # Closed at the fork, being private.
        self._bell, self._thread, self._ringing = -1, None, threading.RLock()

    def _give_up(self) -> None:
        for worker in self.workers:
            if worker.exitcode is None:
                worker.terminate()
        for worker in self.workers:
            worker.join()

    def _start(self, number: int, member: Member) -> None:
        super()._start(number, member)
        if self._over:
            # Between the last look at who is there and now.
            member.worker.kill()

    def _launch(self, worker: Any) -> None:
        # The worker inherits this: half started, it would answer Ctrl-C with a traceback, and SIGTERM as
        # the program does.  Where that has no way of its own with it, it may kill at once.
        deaf = [signal.SIGINT]
        if callable(_signal.getsignal(signal.SIGTERM)):
            deaf.append(signal.SIGTERM)
        blocked = _signal.pthread_sigmask(signal.SIG_BLOCK, deaf)
        try:
            super()._launch(worker)
        finally:
            _signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _call_off(self, worker: Any) -> None:
        if worker.is_alive():
            worker.terminate()

    # ---- the thread

    def _ring(self) -> None:
        with self._ringing:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    def _run(self) -> None:
        # Here, where nobody waits for it.
        count = Count()
        self._killed_for_memory = self._killed_for_memory or count
        try:
            while self._members or self._wants_more:
                self._watch_once()
        except BaseException as error:
            # Without a watch the pool could hang.
            self._halted = True
            self._broken(error, "is not watched any more")
            raise
        finally:
            with self._ringing:
                bell, self._bell = self._bell, -1
                private.close(bell)

    def _watch_once(self) -> None:
        # Not through the gates of processes: what they hold back for, descriptors of queues, is not ours.
        sentinels = {
            getattr(member.worker, "_popen", member.worker).sentinel: number
            for number, member in tuple(self._members.items())
        }
        ready = pidfd.readable([self._bell, *sentinels], RETRY if self._wants_more else None)
        if self._bell in ready:
            os.eventfd_read(self._bell)
        self._tend([sentinels[fd] for fd in ready if fd in sentinels])

    def _tend(self, ended: list[int]) -> None:
        for number in ended:
            member = self._members.get(number)
            if member is not None and member.worker.exitcode is not None:
                self._bury(number, member)
        try:
            self.fill()
        except Exception as error:  # noqa: BLE001 - out of memory, of processes ...: tried again
            _util.debug("cannot start a worker: %r", error)
            if not self._members:
                self._failed_start(error, "none could be started")

    def _bury(self, number: int, member: Member) -> None:
        worker = member.worker
        worker.join(0)  # which takes it off the list of children
        # All that it answered, and how it had started, before what it had in hand.
        self._scheduler.drain(self._channel.backlog() + 1)
        del self._members[number]
        if self._over:
            return
        claim = self._channel.claim(member.slot)
        if claim is not None:
            self._scheduler.lose(claim, _obituary(worker, self._cause(worker)))
        started = number in self._told and self._told[number] is None
        error = self._error_of_start(number)
        if not started:
            # Who was killed says nothing of how workers start, whatever it left undone.
            reason = getattr(worker, "start_error", None) if worker.exitcode >= 0 else None
            self._failed_start(error or reason, _ending(worker))
        self.workers.remove(worker)

    def _cause(self, worker: Any) -> str | None:
        count = self._killed_for_memory
        if worker.exitcode != -signal.SIGKILL or count is None or not count.has_risen():
            return None
        return (
            "the kernel has killed for want of memory since this pool's last loss or shortly before it, "
            "perhaps this process"
        )


def _ending(worker: Any) -> str:
    code = worker.exitcode
    how = f"exit code {code}"
    if code is not None and code < 0:
        with suppress(ValueError):
            how = signal.Signals(-code).name
    return f"process {worker.name!r} (pid {worker.pid}) ended by {how}"


def _obituary(worker: Any, cause: str | None) -> Callable[[str], BaseException]:
    """Makes the error for a task that the worker ran when it died."""

    def error(task: str) -> BaseException:
        from ..errors import WorkerLostError

        code = worker.exitcode
        return WorkerLostError(
            f"{_ending(worker)} while it ran {task}{'' if cause is None else f'; {cause}'}",
            pid=worker.pid,
            name=worker.name,
            exitcode=code,
            signal=-code if code is not None and code < 0 else None,
            cause=cause,
            task=task,
        )

    return error
