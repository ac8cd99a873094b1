"""What the kernel tells through a pidfd: that a process has ended, and often how."""

import fcntl
import math
import os
import select
import struct
import time
from collections.abc import Callable
from functools import cache

UNKNOWN = 255
"""Exit code of a process that somebody else reaped, where the kernel does not tell it.

The stdlib gives the same for a process whose fork server is gone."""

_INFO = struct.Struct("=QQ11Ii")
"""struct pidfd_info of Linux 6.15: mask, cgroup, eleven ids, wait status."""
_WANTS_EXIT = 1 << 3
_GET_INFO = (3 << 30) | (_INFO.size << 16) | (0xFF << 8) | 11
"""_IOWR(0xFF, 11, struct pidfd_info)"""
_MOMENT = 0.2
"""Seconds in which a reaper that is at work will have finished."""
_LONGEST_MS = 2**31 - 1
"""What poll takes."""


@cache
def available() -> bool:
    """Does this machine grant pidfds?  Kernels before 5.3 and some sandboxes do not."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def readable(fds: list[int], timeout: float | None) -> list[int]:
    """Those of `fds` that are readable or hung up, waiting up to `timeout` seconds for the first."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    if timeout is None:
        return [fd for fd, _ in poll.poll()]
    deadline = time.monotonic() + timeout
    while True:
        left = (deadline - time.monotonic()) * 1000
        # Rounded up, so that a wait is never shorter than asked for.
        ready = poll.poll(math.ceil(min(max(left, 0), _LONGEST_MS)))
        if ready or left <= _LONGEST_MS:
            return [fd for fd, _ in ready]


def persistently(ask: Callable[[], int | None]) -> int | None:
    """What `ask` answers, asked again for a moment as long as that is None."""
    deadline = time.monotonic() + _MOMENT
    while (answer := ask()) is None and time.monotonic() < deadline:
        time.sleep(0.001)
    return answer


def exit_code(pidfd: int) -> int:
    """How an ended process ended that this process cannot wait for; UNKNOWN if the kernel is mute.

    The kernel tells (since 6.15) when whoever is to reap the process has done so.
    """
    status = persistently(lambda: _wait_status(pidfd))
    return UNKNOWN if status is None else os.waitstatus_to_exitcode(status)


def _wait_status(pidfd: int) -> int | None:
    request = bytearray(_INFO.pack(_WANTS_EXIT, *[0] * 13))
    try:
        fcntl.ioctl(pidfd, _GET_INFO, request)
    except OSError:
        return None
    mask, *_, status = _INFO.unpack(request)
    return status if mask & _WANTS_EXIT else None
