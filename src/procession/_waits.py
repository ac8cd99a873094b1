"""What waits for locks end with, in words.  Called by the native module when such a wait fails."""

from __future__ import annotations

from contextlib import suppress
from multiprocessing import process
from typing import Any

from .errors import DeadlockError, OwnerDiedError, called

Wait = tuple[int, int, str, int, bool]
"""pid and thread id of who waits; kind and handle of the lock; will nobody give it back but its holder?"""

ADVICE = (
    " Some of these locks might still be given back by others. Where that is meant, use a Semaphore,"
    " which nobody owns."
)


def owner_died(pid: int, tid: int) -> OwnerDiedError:
    """The error for a lock whose holder died."""
    return OwnerDiedError(pid, name_of(pid), tid)


def deadlocked(circle: list[Wait]) -> DeadlockError:
    """The error for a circle of waits; each waits for a lock that the next one holds."""
    lines = []
    for (*_, before, held, _), (pid, tid, kind, wanted, _) in zip(
        [circle[-1], *circle], circle, strict=False
    ):
        thread = "" if tid == pid else f", thread {tid},"
        lines.append(
            f"process {called(pid, name_of(pid))}{thread} holds {before} {held:#x}"
            f" and waits for {kind} {wanted:#x}"
        )
    advice = "" if all(certain for *_, certain in circle) else ADVICE
    message = f"deadlock: {'; '.join(lines)}. This wait, the first one, was ended.{advice}"
    return DeadlockError(message, pids=tuple(pid for pid, *_ in circle))


def name_of(pid: int) -> str | None:
    """The name of a process that this one knows: itself, its parent, its children; else None."""
    # Not active_children(), which reaps: then somebody else's wait for the child would find nothing.
    children: Any = process._children  # type: ignore[attr-defined]
    for known in (process.current_process(), process.parent_process(), *children):
        # Another thread may just have closed it.
        with suppress(ValueError):
            if known is not None and known.pid == pid:
                return str(known.name)
    return None
