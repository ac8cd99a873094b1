"""Has the kernel killed somebody for want of memory?  It counts, for each control group and for all.

A worker that died of SIGKILL while the count rose was most likely the one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_MACHINE = Path("/proc/vmstat")

MOMENT = 5.0
"""Seconds within which processes count as killed together: one look at the count is for all of them."""


class Count:
    """The kernel's count for this process's control group, or else for the machine."""

    def __init__(
        self, membership: Path = _MEMBERSHIP, root: Path = _CGROUPS, machine: Path = _MACHINE
    ) -> None:
        counts = ((place, _read(place)) for place in (*_places(membership, root), machine))
        self._place, self._seen = next((found for found in counts if found[1] is not None), (machine, None))

        self._rose = -math.inf

    def has_risen(self) -> bool:
        """Since it was asked last, or made; or was that found out within the last moment?"""
        now, before, self._seen = monotonic(), self._seen, _read(self._place)
        if before is not None and self._seen is not None and self._seen > before:
            self._rose = now
        return now - self._rose < MOMENT


def _places(membership: Path, root: Path) -> Iterator[Path]:
    """Within a container the path may be that of the host; then the group is the one at the top."""
    with suppress(OSError, ValueError):
        for line in membership.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                yield root / path.lstrip("/") / "memory.events"
                yield root / "memory.events"
            elif "memory" in controllers.split(","):
                yield root / "memory" / path.lstrip("/") / "memory.oom_control"
                yield root / "memory" / "memory.oom_control"


def _read(place: Path) -> int | None:
    with suppress(OSError, ValueError):
        for line in place.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return None
