"""What was counted, and what went wrong."""

import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

LONG = 40.0
"""Seconds after which something that must end is taken to hang."""


class Tally:
    """Counts by name, and violations in words; for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []

    def count(self, name: str, number: int = 1) -> None:
        """`number` more of these."""
        with self._lock:
            self.counts[name] += number

    def expect(self, holds: object, text: str) -> None:
        """A violation unless it holds."""
        if not holds:
            with self._lock:
                self.violations.append(text)
            print(f"VIOLATION: {text}", flush=True)

    @contextmanager
    def unforeseen(self, where: str) -> Iterator[None]:
        """Whatever is raised within is a violation."""
        try:
            yield
        except BaseException:  # noqa: BLE001
            self.expect(False, f"{where}:\n{traceback.format_exc()}")

    def __str__(self) -> str:
        with self._lock:
            return "\n".join(f"{number:10} {name}" for name, number in sorted(self.counts.items()))
