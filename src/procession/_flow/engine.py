"""The parts of a pool put together, and their end.

A pool holds its engine, and no part of the engine holds the pool but for its pending jobs: a pool
that nobody holds can be collected, and takes the engine with it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # without enums, which cost each worker
from collections.abc import Callable
from typing import Any

from ..errors import ProcessError
from . import worker
from .channel import Channel, Link
from .crew import Crew, ThreadCrew
from .pump import Pump
from .ring_channel import RingChannel
from .scheduler import Scheduler
from .supervisor import ProcessCrew
from .thread_channel import ThreadChannel

Make = Callable[..., Any]
"""Makes a worker of target= and args=, not yet started."""


class Engine:
    """A channel, a scheduler, callbacks and a crew.  The crew's `fill` starts it."""

    def __init__(self, channel: Channel, crew: Crew) -> None:
        self.crew = crew
        self.pump = Pump(self._dismiss)
        self._channel = channel
        self.scheduler = Scheduler(channel, self.pump, crew.heard, crew.size)
        self.pump.attach(self.scheduler)
        crew.attach(self.scheduler, self._broken)

    def close(self) -> None:
        """Nothing more will be submitted: workers end when all is done."""
        if self.scheduler.is_idle:
            self._dismiss()
        else:
            self.pump.close()

    def end(self) -> None:
        """End at once: what is pending fails, workers are ended.  May be called again, by any thread."""
        self.pump.end()
        self.scheduler.end(lambda: ProcessError("the pool was terminated before this result came"))
        self.crew.end()

    def join(self) -> None:
        """After `close` or `end`: wait for everything to be done, and everybody to have ended.

        Raises RuntimeError in a callback, unless the pool was terminated.
        """
        if self.pump.is_current and not self.scheduler.is_over:
            raise RuntimeError("a callback cannot join its pool, which would wait for the callback's own end")
        for feed in tuple(self.scheduler.feeds):
            feed.lift()
        self.scheduler.wait(self.scheduler.idle)
        self._dismiss()
        self.crew.join()
        self.pump.finish()
        self.pump.join()
        self._channel.close()

    def disown(self) -> None:
        """In a forked child: have nothing to do with what the parent's pool is doing."""
        self.scheduler.disown()
        self.crew.disown()
        self.pump.disown()

    def _dismiss(self) -> None:
        # From here on who submits, having looked before whether the pool was open, gets an error.
        self.scheduler.end(lambda: ProcessError("the pool was closed before this task was submitted"))
        self.crew.dismiss()

    def _broken(self, error: BaseException | None, text: str) -> None:
        """Nobody can start; `error` is why, if that is known, `text` what became of the last one."""

        def why() -> BaseException:
            from ..errors import WorkerLostError

            reason = "" if error is None else f": {type(error).__qualname__}: {error}"
            lost = WorkerLostError(
                f"the pool is broken, its workers do not start well; the last one, {text}{reason}",
                cause=error,
            )
            lost.__cause__ = error
            return lost

        self.scheduler.end(why)


def of_processes(size: int, make: Make, begin: worker.Begin, most: int | None) -> Engine:
    """An engine of `size` processes, each for at most `most` messages; all have been started.

    Raises what starting a process raises; none is left then.
    """

    def hire(link: Link) -> Any:
        blocked = _signal.SIGINT in _signal.pthread_sigmask(_signal.SIG_BLOCK, ())
        process = make(target=worker.main, args=(link, begin, most, blocked))
        process.name = process.name.replace("Process", "PoolWorker")
        process.daemon = True
        return process

    channel = RingChannel(size)
    crew = ProcessCrew(size, channel, hire)
    engine = Engine(channel, crew)
    crew.fill()
    crew.watch()
    return engine


def of_threads(size: int, make: Make, begin: worker.Begin) -> Engine:
    """An engine of `size` threads, all of which have been started."""

    def hire(link: Link) -> Any:
        thread = make(target=worker.work, args=(link, begin))
        thread.daemon = True
        return thread

    channel = ThreadChannel()
    crew = ThreadCrew(size, channel, hire)
    engine = Engine(channel, crew)
    try:
        crew.fill()
    except BaseException:
        crew.end()
        raise
    return engine
