"""Processes that are started again whenever they end."""

import threading
from multiprocessing import ProcessError
from multiprocessing.connection import wait
from typing import Any

from .tally import LONG, Tally


class Crew(threading.Thread):
    """Keeps `count` processes of a target running; each gets a number of its own after `args`."""

    def __init__(self, ctx: Any, tally: Tally, name: str, count: int, target: Any, *args: Any) -> None:
        super().__init__()
        self._ctx, self._tally, self._title, self._work = ctx, tally, name, (target, args)
        self._over = ctx.Event()
        self._begun = 0
        self._processes: list[Any] = []
        self._count = count
        self.killed = 0

    def run(self) -> None:
        """Until told to stop."""
        with self._tally.unforeseen(self._title):
            while not self._over.is_set():
                while len(self._processes) < self._count:
                    self._begin()
                wait([process.sentinel for process in self._processes], 0.1)
                self._reap()

    def stop(self) -> None:
        """All see that it is over, and end; who does not is a violation."""
        self._over.set()
        self.join()
        for process in self._processes:
            process.join(LONG)
            self._tally.expect(process.exitcode is not None, f"{self._title}: {process} does not end")
            process.kill()
            process.join()
        self._reap()

    def _begin(self) -> None:
        target, args = self._work
        process = self._ctx.Process(target=target, args=(self._over, *args, self._begun), daemon=True)
        self._begun += 1
        try:
            process.start()
        except ProcessError:
            self._tally.count("starts that failed")  # killed before it was anything, and says so
        else:
            self._processes.append(process)

    def _reap(self) -> None:
        for process in [process for process in self._processes if process.exitcode is not None]:
            self._processes.remove(process)
            self.killed += process.exitcode == -9
            self._tally.expect(process.exitcode in {0, -9}, f"{self._title}: ended with {process.exitcode}")
            process.close()
