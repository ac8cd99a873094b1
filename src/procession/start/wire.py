"""What a process and its fork server say to each other: datagrams of three numbers, and descriptors.

======== ====== =========== ====================================================================
kind     serial value       descriptors
======== ====== =========== ====================================================================
START    of the DAEMON or 0 parcel, stdout, stderr, tracker; where there are no pidfds the child's
         child              end of its sentinel; then what was duplicated for the child
STARTED         pid         the child's pidfd, where there are pidfds
REFUSED         errno
ENDED           exit code
======== ====== =========== ====================================================================

The server hands START on to a child.  STARTED comes from that child, REFUSED and ENDED from the
server: so who has heard STARTED knows that the child has everything, whatever becomes of the
server, and who has not may ask again without anything being run twice.
"""

import array
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

START, STARTED, REFUSED, ENDED = range(4)
DAEMON = 1
MOST_FDS = 253
"""Descriptors in one datagram; the kernel's limit."""

_FORM = struct.Struct("=BQq")
_INT = struct.calcsize("i")


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
        control = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", message.fds))] if message.fds else []
        )
        end.sendmsg([_FORM.pack(*message[:3])], control, socket.MSG_NOSIGNAL)


def receive(fd: int, *, block: bool = True) -> Message | None:
    """The next message, or None if the other side has gone.

    BlockingIOError if there is none and `block` is false.  Descriptors for which this process has
    no room are lost, all of the message with them.
    """
    flags = socket.MSG_CMSG_CLOEXEC | (0 if block else socket.MSG_DONTWAIT)
    try:
        with _socket(fd) as end:
            data, control, told, _ = end.recvmsg(_FORM.size, socket.CMSG_SPACE(MOST_FDS * _INT), flags)
    except ConnectionResetError:
        return None
    if not data:
        return None
    fds = array.array("i")
    for _level, _kind, content in control:
        fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    if told & socket.MSG_CTRUNC:
        close_all(fds)
        del fds[:]
    kind, serial, value = _FORM.unpack(data)
    return Message(kind, serial, value, list(fds))


def close_all(fds: Iterable[int]) -> None:
    """Close them."""
    for fd in fds:
        os.close(fd)


@contextmanager
def _socket(fd: int) -> Iterator[socket.socket]:
    # A socket object kept for good would complain of not being closed when the interpreter ends.
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=fd)
    try:
        yield end
    finally:
        end.detach()
