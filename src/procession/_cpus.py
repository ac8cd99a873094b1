"""How many processors this process may use: the default size of pools."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def processors() -> int:
    """Processors in this process's affinity.  Asked quickly, unlike `usable_cpus`."""
    return len(os.sched_getaffinity(0))


def usable_cpus() -> int:
    """Processors in this process's affinity, or fewer where its cgroup grants less time; at least 1.

    A limit of one and a half processors counts as two.  What the user has said by
    `-X cpu_count` or PYTHON_CPU_COUNT (Python 3.13 and later) counts more than both.
    """
    bound = processors()
    said = os.process_cpu_count() if hasattr(os, "process_cpu_count") else bound
    if said is not None and said != bound:
        return said
    return max(1, math.ceil(min([float(bound), *_limits(_MEMBERSHIP, _CGROUPS)])))


def _limits(membership: Path, root: Path) -> Iterator[float]:
    """The processors' worth of time granted by each control group that this process is in."""
    with suppress(OSError, ValueError):
        for line in membership.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                yield from _climb(root, path, _limit_of_v2)
            elif "cpu" in controllers.split(","):
                yield from _climb(root / controllers, path, _limit_of_v1)
                yield from _climb(root / "cpu", path, _limit_of_v1)


def _climb(mount: Path, path: str, read: Callable[[Path], float]) -> Iterator[float]:
    # Limits of the groups above hold too.  Within a container the path may be that of the host,
    # of which only the last group is to be seen, at the top.
    group = mount / path.lstrip("/")
    for folder in {group, *group.parents, mount}:
        if folder.is_relative_to(mount):
            with suppress(OSError, ValueError, ZeroDivisionError):
                yield read(folder)


def _limit_of_v2(group: Path) -> float:
    quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
    return int(quota) / int(period)  # ValueError for "max", which is no limit


def _limit_of_v1(group: Path) -> float:
    quota, period = (
        int((group / f"cpu.cfs_{name}_us").read_text(encoding="ascii")) for name in ("quota", "period")
    )
    return quota / period if quota > 0 else math.inf
