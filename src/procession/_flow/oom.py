"""Has the kernel killed somebody for want of memory?  It counts, for each control group and for all.

A worker that died of SIGKILL while the count rose was most likely the one.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache, partial
from time import monotonic

_CGROUPS = "/sys/fs/cgroup"
_MEMBERSHIP = "/proc/self/cgroup"
_MACHINE = "/proc/vmstat"

_COUNT = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)
_PART = 1 << 16
"""Bytes of a file to be read at once; of some the kernel gives less."""

MOMENT = 5.0
"""Seconds within which processes count as killed together: one look at the count is for all of them."""

StrPath = str | os.PathLike[str]


class Count:
    """The kernel's count for this process's control group, or else for the machine."""

    def __init__(
        self, membership: StrPath = _MEMBERSHIP, root: StrPath = _CGROUPS, machine: StrPath = _MACHINE
    ) -> None:
        # Looked up anew where this process has moved to another group: each pool has a count.
        self._place = _counter(_contents(membership), os.fspath(root), os.fspath(machine))
        self._seen = _read(self._place)
        self._rose = -math.inf

    def has_risen(self) -> bool:
        """Since it was asked last, or made; or was that found out within the last moment?"""
        now, before, self._seen = monotonic(), self._seen, _read(self._place)
        if before is not None and self._seen is not None and self._seen > before:
            self._rose = now
        return now - self._rose < MOMENT


@lru_cache(maxsize=8)
def _counter(membership: bytes, root: str, machine: str) -> str:
    """The file with the count for who is of the groups told in `membership`."""
    places = (place for place in _places(membership, root) if _read(place) is not None)
    return next(places, machine)


def _places(membership: bytes, root: str) -> Iterator[str]:
    """Within a container the path may be that of the host; then the group is the one at the top."""
    with suppress(ValueError):
        for line in os.fsdecode(membership).splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                yield f"{root}{path}/memory.events"
                yield f"{root}/memory.events"
            elif "memory" in controllers.split(","):
                yield f"{root}/memory{path}/memory.oom_control"
                yield f"{root}/memory/memory.oom_control"


def _read(place: StrPath) -> int | None:
    found = _COUNT.search(_contents(place))
    return None if found is None else int(found[1])


def _contents(place: StrPath) -> bytes:
    """What is in a file of the kernel's, nothing if it cannot be read."""
    # Not by objects, which for all their parts cost a pool that is made just now a fifth of a millisecond.
    try:
        fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return b"".join(iter(partial(os.read, fd, _PART), b""))
    except OSError:
        return b""
    finally:
        os.close(fd)
