"""The objects of a server, and who holds them.

An object's id is made once and never used again, by no later server at the same address either: who
asks for an object that is gone is told so, and never given another.  An object goes with its last
reference; one that a process has sent to another, who may not have asked for it yet, a moment later.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from itertools import count
from typing import Any

from ._turn import Turn

TRANSIT = 10.0
"""Seconds that an object without holders is kept for somebody to whom it may have been sent."""

Entry = tuple[Any, Any, Any]
"""An object, the names of its methods, and the types of what some of them return."""


class Objects:
    """Objects by id, with the number of references to each."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {"0": (None, (), None)}
        self.counts: dict[str, int] = {}
        self._turn = Turn(self._drop_sent)
        self._serials = count(1)
        self._mark = secrets.token_hex(4)
        self._idents: dict[tuple[str, int], str] = {}
        self._keys: dict[str, tuple[str, int]] = {}
        self._sent: deque[tuple[float, str]] = deque()
        self._is_swept = False

    def add(self, typeid: str, obj: Any, exposed: Any, method_to_typeid: Any) -> str:
        """An object with one reference more; its id.  One that is there already keeps its own."""
        with self._turn.taken():
            key = typeid, id(obj)
            ident = self._idents.get(key)
            if ident is None:
                ident = self._idents[key] = f"{self._mark}{next(self._serials):x}"
                self._keys[ident] = key
            self.entries[ident] = obj, exposed, method_to_typeid
            self.counts[ident] = self.counts.get(ident, 0) + 1
            return ident

    def hold(self, ident: str) -> None:
        """One reference more.  KeyError if there is no such object any more."""
        with self._turn.taken():
            if ident not in self._keys:
                raise KeyError(gone(ident))
            self.counts[ident] = self.counts.get(ident, 0) + 1

    def drop(self, ident: str, references: int = 1, *, is_sent: bool = False) -> None:
        """Some references less; with the last the object goes, or in a while if it `is_sent`."""
        with self._turn.taken():
            _entry = self._drop(ident, references, is_sent)

    def put_off_drop(self, ident: str) -> None:
        """One reference less, of an object that is sent.  For the garbage collector."""
        self._turn.put_off(ident)

    def _drop_sent(self, ident: str) -> Entry | None:
        return self._drop(ident, 1, is_sent=True)

    def _drop(self, ident: str, references: int, is_sent: bool) -> Entry | None:
        self.counts[ident] -= references
        if self.counts[ident] > 0:
            return None
        del self.counts[ident]
        if not is_sent:
            return self._forget(ident)
        self._sent.append((time.monotonic() + TRANSIT, ident))
        if not self._is_swept:
            self._is_swept = True
            threading.Thread(target=self._sweep, name="transit", daemon=True).start()
        return None

    def _forget(self, ident: str) -> Entry:
        del self._idents[self._keys.pop(ident)]
        return self.entries.pop(ident)

    # ---- objects on their way

    def _sweep(self) -> None:
        while (due := self._next_due()) is not None:
            time.sleep(max(0.0, due - time.monotonic()))
            with self._turn.taken():
                _entry = self._take_unclaimed()
            del _entry

    def _next_due(self) -> float | None:
        with self._turn.taken():
            self._is_swept = bool(self._sent)
            return self._sent[0][0] if self._sent else None

    def _take_unclaimed(self) -> Entry | None:
        _, ident = self._sent.popleft()
        if ident in self.counts or ident not in self._keys or any(ident == later for _, later in self._sent):
            return None
        return self._forget(ident)


def gone(ident: str) -> str:
    """What to say where an object is missing."""
    return (
        f"the manager has no object {ident} any more: its last proxy has ended; where a proxy is sent"
        " to another process, keep it until that process has it"
    )
