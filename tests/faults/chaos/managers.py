"""Managers: a call is answered or fails within seconds, also when the manager is killed."""

import threading
import time
from multiprocessing import ProcessError
from typing import Any

from .crew import Crew
from .tally import LONG, Tally

FAILURES = (OSError, EOFError)
"""What a call raises whose manager was killed."""


def call(over: Any, shared: Any, number: int) -> None:
    """Count in a shared dict and append to a shared list, until the manager is gone."""
    numbers, texts = shared
    try:
        while not over.is_set():
            numbers[number] = numbers.get(number, 0) + 1
            texts.append("x" * (number % 100))
            if len(texts) > 50:
                texts.pop()
            time.sleep(0.001)
    except (IndexError, *FAILURES):
        time.sleep(0.01)


class Managers(threading.Thread):
    """One manager after the other, each with callers of its own, until it is killed or has lived."""

    def __init__(self, ctx: Any, tally: Tally) -> None:
        super().__init__()
        self._ctx, self._tally, self._over = ctx, tally, threading.Event()

    def run(self) -> None:
        """Until told to stop."""
        with self._tally.unforeseen("manager"):
            while not self._over.is_set():
                self._live()
                self._tally.count("managers")

    def stop(self) -> None:
        """The last manager ends in good order."""
        self._over.set()
        self.join()

    def _live(self) -> None:
        try:
            manager = self._ctx.Manager()
        except (ProcessError, *FAILURES):
            self._tally.count("starts that failed")  # killed before it had said where it is
            return
        try:
            shared = (manager.dict(), manager.list())
            callers = Crew(self._ctx, self._tally, "caller", 1, call, shared)
            callers.start()
            self._use(shared[0])
            callers.stop()
        except FAILURES:
            self._tally.count("managers killed while they were used")
        finally:
            self._end(manager)

    def _use(self, numbers: Any) -> None:
        end = time.monotonic() + 3
        try:
            while time.monotonic() < end and not self._over.is_set():
                began = time.monotonic()
                numbers["main"] = numbers.get("main", 0) + 1
                self._tally.count("calls of managers")
                self._tally.expect(time.monotonic() - began < LONG, "a manager's answer took too long")
                time.sleep(0.001)
        except FAILURES:
            self._tally.count("calls that failed")

    def _end(self, manager: Any) -> None:
        ending = threading.Thread(target=manager.shutdown)
        ending.start()
        ending.join(LONG)
        self._tally.expect(not ending.is_alive(), "a manager does not end")
