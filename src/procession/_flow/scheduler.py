"""What flies and what has landed: the middle of a pool.

Answers go through an inbox, which any thread may fill and any thread works off, under the lock,
oldest first.  An answer leaves the inbox after it was noted, and noting twice does no harm: so where a
signal handler raises in the midst of it, in whichever thread and at whichever step, the next thread
begins with that answer again.  Hence also the rule for those who take results away from a job that
still gets more (imap): with the lock held, and the inbox worked off first.

No user's code runs under the lock.  (What objects do when they are let go, they do anywhere; hence the
lock is one that its holder can take again.)

Short tasks travel many in a message.  Where the workers have taken all there is while one of them still
has items that it has not begun, these are cut off for the others.  A cut is worked off like an answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from threading import RLock, get_ident
from typing import Any

from .._handlers import raised_by_handler
from ..errors import ProcessError
from .channel import (
    FAILED,
    ODD,
    READY,
    UNREAD,
    Answer,
    Batch,
    Channel,
    Claim,
    Cut,
    Failed,
    Held,
    Notes,
    opener,
    shift,
)
from .helping import Helpers, Until, Waited
from .job import Callbacks, Flight, Job
from .loss import doomed, pieces, remains, singly
from .sharing import Sharing

GLANCE = 16
"""Messages after which who submits looks for answers: or a program that never asks would pile them up.
So few that working them off takes less time than workers look out before they sleep."""
MANY = 64
"""Looks for answers after which a thread that drains looks whether its own has come."""


class Scheduler:
    """Sends messages, and brings answers to the jobs that wait for them.

    `jobs`: those not done, by number.  `flying`: messages not answered in full, by number.  `feeds`:
    whoever will submit more by itself.  `workers`: how many there shall be.  `callbacks` is told of
    jobs that have some; `notes(number, answer)` is called with what workers tell about their start.
    """

    def __init__(self, channel: Channel, callbacks: Callbacks, notes: Notes, workers: int = 1) -> None:
        self.jobs: dict[int, Job] = {}
        self.flying: dict[int, Flight] = {}
        self.feeds: set[Any] = set()
        self.lock = RLock()
        self.helpers = Helpers(self.receive, channel.nudge)
        # Every job is done, and nothing is being read in order to be sent.
        self.idle = Until(lambda: self.is_idle)
        self.open = opener(channel)
        self._channel = channel
        self._callbacks = callbacks
        self._notes = notes
        self._workers = workers
        self._sharing = Sharing(channel, self.flying, workers)
        self._inbox: deque[Batch] = deque()
        self._cuts: deque[Cut] = deque()
        self._unsent: deque[int] = deque()
        self._sending, self._sender = RLock(), 0
        self._glances, self._mids = 0, count(1)
        self._why_over: Callable[[], BaseException] | None = None

    # ---- on the way out

    def begin(self, job: Job, submit: Callable[..., None], *args: Any, once: bool = False) -> None:
        """Begin `job`, whose messages `submit(*args)` sends, perhaps but `once`.

        What goes wrong is for the job to tell.  This raises only what signal handlers raise, and the
        job is forgotten then.
        """
        try:
            self.jobs[job._job] = job
            if job.calls_back:
                self._callbacks.owe(job)
            if self._why_over is not None:
                self.fail(job, self._why_over())
            try:
                self._channel.prepare(job.call, once=once)
            except Exception as error:
                if raised_by_handler(error):
                    raise
                self.reject(job, error)
            else:
                submit(*args)
        except BaseException:
            self._forget(job)
            raise

    def reject(self, job: Job, error: Exception) -> None:
        """Nothing of `job` can be sent."""
        with self.lock:
            job.reject(error)
            self._finish(job)

    def submit(self, job: Job, start: int, items: Sequence[Any]) -> None:
        """Send `items` of `job`, the first of which is number `start`.

        What cannot be sent is failed; this raises only what signal handlers raise.
        """
        if self._why_over is None:
            # Before it is sent: whoever is interrupted here has not sent it yet.
            self._glances += 1
            if not self._glances % GLANCE:
                self.drain()
            self._launch(Flight(job, start, items))
            if self._unsent:
                self._send_parts()

    def _launch(self, flight: Flight) -> None:
        if flight.is_void:
            return
        mid, job = next(self._mids), flight.job
        try:
            job.expect(mid)
            self.flying[mid] = flight
            if flight.end > 1 and flight.is_long:
                self._sharing.expect()
            try:
                self._channel.send(mid, flight.call, flight.items, flight.start)
            except Exception as error:
                if raised_by_handler(error):
                    raise
                with self.lock:
                    self._fail_or_part(mid, flight, Failed(error))
        except BaseException:
            # Nothing may fly that will never land.
            self.flying.pop(mid, None)
            job.landed(mid)
            raise
        flight.sent = True

    def _fail_or_part(self, mid: int, flight: Flight, answer: Any) -> None:
        """A message did not come across, and `answer` says why.  With the lock held."""
        if flight.end == 1 or flight.job.one_fails_all:
            flight.job.take(flight.start, answer)
            self._land(mid, flight)
        else:
            # One of the items is to blame; the others shall not suffer for it.
            self._part(mid, flight, singly(flight, 0, flight.end))

    def _part(self, mid: int, flight: Flight, parts: Iterable[Flight]) -> None:
        """Have `parts` sent in the place of a message, which lands when they have been.

        With the lock held; they are sent without it, since pickling is somebody else's code.
        """
        if flight.parts is None:
            flight.parts = deque(parts)
        self._unsent.append(mid)

    def _send_parts(self) -> None:
        me = get_ident()
        if self._sender == me:
            return  # within the pickling of a part, or a signal handler: the rest is sent further out
        with self._sending:
            try:
                self._sender = me
                while self._unsent:
                    self._replace(self._unsent[0])
                    self._unsent.popleft()
            finally:
                self._sender = 0

    def _replace(self, mid: int) -> None:
        flight = self.flying.get(mid)
        if flight is None or flight.parts is None:
            return
        while flight.parts:
            # A signal handler may have raised between this and that, the last time.
            if not flight.parts[0].sent:
                self._launch(flight.parts[0])
            flight.parts.popleft()
        with self.lock:
            self._land(mid, flight)

    # ---- on the way back

    def drain(self, most: int = MANY) -> None:
        """Work off what has come, also what another thread is about to receive; waits for nothing.

        Ends after so many looks, though there be more.
        """
        for _ in range(most):
            self._channel.receive(self._inbox, 0)
            self._work_off()
            if not self._channel.backlog():
                break

    def receive(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for answers, and work off all that have come."""
        self._work_off()
        self._channel.receive(self._inbox, min(timeout, self._sharing.pause))
        self._work_off()
        if self._channel.backlog():
            self.drain()
        if self._sharing.share(self._cuts):
            self._work_off()

    def wait(self, waited: Waited, timeout: float | None = None) -> bool:
        """Help until `waited` is done; False if it is not within `timeout` seconds."""
        return waited.done or self.helpers.wait(waited, timeout)

    def settle(self) -> None:
        """Work off what other threads have received; with the lock held."""
        # In the midst of it a signal handler that uses the pool may do the same, and more.
        for batch in tuple(self._inbox):
            for answer in batch[0]:
                self._note(answer, batch[1])
            shift(self._inbox, batch)
        for cut in tuple(self._cuts):
            self._cut_off(*cut[:2])
            shift(self._cuts, cut)

    def _work_off(self) -> None:
        if self._inbox or self._cuts:
            with self.lock:
                self.settle()
        if self._unsent:
            self._send_parts()

    def _note(self, answer: Answer, hold: Any) -> None:
        mid, first, number, kind, _ = answer
        kept = answer if hold is None else Held(self._channel, answer, hold)
        if 0 < kind <= ODD:
            self._note_odd(mid, first, kind, kept)
            return
        flight = self.flying.get(mid)
        # Else it was answered before, by another worker or with an error.
        if flight is not None and flight.parts is None:
            if first == flight.done and first + number <= flight.end:
                flight.job.take(flight.start + first, kept)
                # Else a signal handler has noted it meanwhile, and perhaps what comes behind it.
                if flight.done == first:
                    flight.done = first + number
            if flight.done == flight.end:
                self._land(mid, flight)

    def _note_odd(self, mid: int, number: int, kind: int, answer: Any) -> None:
        if kind in (READY, FAILED):
            self._notes(number, answer if kind == FAILED else None)
        flight = self.flying.get(mid)
        if kind == UNREAD and flight is not None and flight.parts is None:
            self._fail_or_part(mid, flight, answer)

    def _land(self, mid: int, flight: Flight) -> None:
        """With the lock held."""
        job = flight.job
        if job.landed(mid):
            self._finish(job)
        self.flying.pop(mid, None)
        if not self.jobs:
            self._look_whether_idle()

    def landed(self, job: Job, mid: int) -> None:
        """Tell `job` that message `mid` of it is answered in full."""
        with self.lock:
            if job.landed(mid):
                self._finish(job)

    def _finish(self, job: Job) -> None:
        job.complete = True
        if not job.calls_back:
            self.finished(job)
        elif not job.done:
            self._callbacks.due(job)

    def finished(self, job: Job) -> None:
        """Its callbacks have run, if it had any: those who wait for it may go on."""
        job.done = True
        job.close()
        self.jobs.pop(job._job, None)
        self.helpers.wake(job)
        if not self.jobs:
            self._look_whether_idle()

    def _forget(self, job: Job) -> None:
        """Nobody will ask for it: its submission was broken off.  What flies of it lands unseen."""
        self.finished(job)
        if job.calls_back:
            self._callbacks.due(job)

    def _look_whether_idle(self) -> None:
        if not self.flying:
            self.helpers.wake(self.idle)

    # ---- from the busy to the idle

    def _cut_off(self, mid: int, first: int) -> None:
        """Items from `first` on of a message are no worker's any more: have them sent again.

        With the lock held.  They stand for a message of their own, that is never sent.  Nothing is
        done where this was found out before, see `lose`.
        """
        flight = self.flying.get(mid)
        if flight is not None and flight.parts is None:
            if flight.end > first:
                self._detach((mid, first), flight, first)
            if flight.done == flight.end:
                self._land(mid, flight)

    def _detach(self, key: Any, flight: Flight, first: int) -> None:
        rest = flight.part(first, flight.end)
        rest.parts = deque(pieces(rest, self._workers))
        flight.job.expect(key)
        # No signal handler comes between these, as there is no call before the last is done.
        if flight.end > first:
            flight.end = first
            self.flying[key] = rest
            self._unsent.append(key)
        elif key not in self.flying:
            flight.job.landed(key)  # one came before, and what it cut off has landed

    # ---- when workers die, and when all is over

    def lose(self, claim: Claim, error: Callable[[str], BaseException]) -> None:
        """A worker died with a message in hand; `error(task)` says so of the task that it ran.

        Everything that it answered must have been received.
        """
        with self.lock:
            if claim.runs:
                # Cut off at the last moment, and whoever did that has not told yet.
                self._cut_off(claim.mid, claim.end)
            flight = self.flying.get(claim.mid)
        if flight is not None and flight.parts is None:
            self._lose(flight, claim, error)
        self._send_parts()

    def _lose(self, flight: Flight, claim: Claim, error: Callable[[str], BaseException]) -> None:
        # Before the lock is taken: what describes a task is the arguments' own __repr__.
        call, start, items = flight.call, flight.start, flight.items
        errors = {
            number: error(call.describe(start + number, items[number])) for number in doomed(flight, claim)
        }
        with self.lock:
            for number, failure in errors.items():
                flight.job.take(start + number, Failed(failure))
            self._part(claim.mid, flight, remains(flight, claim))

    def end(self, why: Callable[[], BaseException]) -> None:
        """Nothing more is run: fail what is pending, and what will come, with what `why` makes."""
        if self._why_over is None:
            self._why_over = why
        for job in list(self.jobs.values()):
            self.fail(job, why())
        self.flying.clear()
        self.feeds.clear()
        self.helpers.wake(self.idle)
        self._channel.nudge()

    def fail(self, job: Job, error: BaseException) -> None:
        """End a job with an error; a job that has ended stays as it is."""
        with self.lock:
            if job._job in self.jobs:
                if not job.complete:
                    job.fail(error)
                self._finish(job)

    def disown(self) -> None:
        """In a forked child: what flies is the parent's, and so are the answers."""
        self.lock, self._sending, self._sender = RLock(), RLock(), 0
        self._inbox, self._cuts, self._unsent = deque(), deque(), deque()
        # Nor shall what the parent's feeds have left unread be read here.
        self._why_over = _disowned
        self._channel.close()
        self.helpers.disown()

    @property
    def is_over(self) -> bool:
        """Will nothing more be run?"""
        return self._why_over is not None

    @property
    def is_idle(self) -> bool:
        """Has everything landed that is ever to be sent?"""
        return self._why_over is not None or not (self.jobs or self.flying or self.feeds)


def _disowned() -> BaseException:
    return ProcessError("this is a fork of the process that made the pool")
