"""What a process and its fork server say to each other: datagrams of three numbers, and descriptors.

======== ======= =========== ===================================================================
kind     number  value       descriptors
======== ======= =========== ===================================================================
START    serial  DAEMON or 0 parcel, stdout, stderr, tracker; where there are no pidfds the child's
                             end of its sentinel; then what was duplicated for the child
STARTED  serial  pid         the child's pidfd, where there are pidfds
REFUSED  serial  errno
ENDED    serial  exit code
======== ======= =========== ===================================================================
"""

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

START, STARTED, REFUSED, ENDED = range(4)
DAEMON = 1
MOST_FDS = 253
"""Descriptors in one datagram; the kernel's limit."""

_FORM = struct.Struct("=BQq")


class Message(NamedTuple):
    """One datagram."""

    kind: int
    serial: int
    value: int
    fds: Sequence[int] = ()


def pair() -> tuple[int, int]:
    """Two connected ends."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return one.detach(), other.detach()


def send(fd: int, message: Message) -> None:
    """Send; OSError (BrokenPipeError, ConnectionResetError) if the other side has gone."""
    with _socket(fd) as end:
        socket.send_fds(end, [_FORM.pack(*message[:3])], list(message.fds), socket.MSG_NOSIGNAL)


def receive(fd: int, *, block: bool = True) -> Message | None:
    """The next message, or None if the other side has gone.

    BlockingIOError if there is none and `block` is false.  Descriptors for which this process has
    no room are lost, all of the message with them.
    """
    flags = socket.MSG_CMSG_CLOEXEC | (0 if block else socket.MSG_DONTWAIT)
    try:
        with _socket(fd) as end:
            data, fds, told, _ = socket.recv_fds(end, _FORM.size, MOST_FDS, flags)
    except ConnectionResetError:
        return None
    if not data:
        return None
    kind, serial, value = _FORM.unpack(data)
    return Message(kind, serial, value, close_all(fds) if told & socket.MSG_CTRUNC else fds)


def close_all(fds: Sequence[int]) -> Sequence[int]:
    """Close them; an empty sequence."""
    for fd in fds:
        os.close(fd)
    return ()


@contextmanager
def _socket(fd: int) -> Iterator[socket.socket]:
    # A socket object kept for good would complain of not being closed when the interpreter ends.
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=fd)
    try:
        yield end
    finally:
        end.detach()
