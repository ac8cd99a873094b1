"""A descriptor that is readable exactly while a message waits in a ring.

For ``select``, ``connection.wait`` and event loops; made only when somebody asks for it, and then
in that process alone.  Used by :mod:`procession._port`.

The descriptor is an eventfd, set for good once the ring was shut.  Whoever may have changed the
matter has it look at the ring: this process's own puts and gets at once, so that after a get that
empties the ring it is not readable any more; what other processes do is noticed by two threads.
One waits for messages while the descriptor is clear, the other for emptiness while it is set.
One thread in turn would not do: while it waits for emptiness, our own get may have cleared the
descriptor and another process put again, and nobody would be waiting for messages.  The threads
are the native core's, since Python grants none while the interpreter ends, and executors wait for
results even then.
"""

from __future__ import annotations

from typing import Any

from . import _family
from .start import gate

MOMENT = 0.001
"""Seconds between two calls to a thread that was about to sleep when it was called first."""


class Readiness:
    """The descriptor of one ring in this process, kept true by whoever puts and gets through it."""

    def __init__(self, ring: _family.Ring) -> None:
        self._ring = ring
        native = _family.NativeReadiness(ring)
        self.fileno, self.close, self.forget = native.fileno, native.close, native.forget
        self.update = native.update
        gate.note(self)

    def put(self, *args: Any) -> bool:
        """As the ring's, and the descriptor is readable when it returns."""
        try:
            return self._ring.put(*args)
        finally:
            self.update()

    def get(self, *args: Any) -> bytes | _family.NativeBuffer | None:
        """As the ring's `take`; after the last message the descriptor is not readable when it returns."""
        try:
            return self._ring.take(*args)
        finally:
            self.update()

    def offer(self, obj: object) -> bool:
        """As the ring's; see `put`."""
        try:
            return self._ring.offer(obj)
        finally:
            self.update()

    def fetch(self, default: Any) -> Any:
        """As the ring's; see `get`."""
        try:
            return self._ring.fetch(default)
        finally:
            self.update()
