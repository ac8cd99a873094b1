"""Kills, stops and continues members of the family, whoever chance chooses."""

import os
import random
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.kit import leaks, proc

from .tally import Tally

LONGEST_STOP = 0.4
"""Seconds that a member is stopped at most."""


class Killer(threading.Thread):
    """Every `pause` seconds one of the family, this process and its standing helpers excepted."""

    def __init__(self, tally: Tally, chance: random.Random, pause: float) -> None:
        super().__init__()
        self._tally, self._chance, self._pause = tally, chance, pause
        self._over = threading.Event()
        self._stopped: list[tuple[float, int]] = []
        self.killed: set[int] = set()

    def run(self) -> None:
        """Until told to stop; then all that were stopped go on."""
        with self._tally.unforeseen("killer"):
            due = time.monotonic()
            while not self._over.wait(max(0.0, due - time.monotonic())):
                due = max(due, time.monotonic() - 1) + self._pause * (0.5 + self._chance.random())
                self._strike()
                self._resume(time.monotonic())
        self._resume(float("inf"))

    def stop(self) -> None:
        """Nobody is killed after this."""
        self._over.set()
        self.join()

    def _strike(self) -> None:
        victims = sorted(family() - leaks.helpers())
        if not victims:
            return
        victim = self._chance.choice(victims)
        with suppress(ProcessLookupError):
            process = os.pidfd_open(victim)
            # Its number may have become another's since we looked.
            if proc.alive(victim) and victim in family():
                self._hit(victim, process)
            else:
                os.close(process)

    def _hit(self, victim: int, process: int) -> None:
        if self._chance.random() < 0.7:
            # Known before it is dead: whoever finds it dead may ask at once.
            self.killed.add(victim)
            self._tally.count("killed")
            try:
                signal.pidfd_send_signal(process, signal.SIGKILL)
            finally:
                os.close(process)
            return
        self._tally.count("stopped")
        self._stopped.append((time.monotonic() + self._chance.random() * LONGEST_STOP, process))
        signal.pidfd_send_signal(process, signal.SIGSTOP)

    def _resume(self, now: float) -> None:
        for until, process in list(self._stopped):
            if until <= now:
                self._stopped.remove((until, process))
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(process, signal.SIGCONT)
                os.close(process)


def family() -> set[int]:
    """Everybody below this process; without a look at every process of the machine, which takes long."""
    found: set[int] = set()
    new = {os.getpid()}
    while new:
        new = {child for pid in new for child in children(pid)} - found
        found |= new
    return found


def children(pid: int) -> list[int]:
    """Those that the threads of `pid` started, or inherited."""
    with suppress(FileNotFoundError, ProcessLookupError):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return []
