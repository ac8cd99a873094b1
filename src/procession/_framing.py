"""Messages on a stream of bytes: each with its length before it, as the stdlib's Connection does.

A length is four bytes, signed and in network order; -1 says that eight more follow, unsigned.
Nothing is read beyond the message that is asked for.

Both directions outlive an interruption.  Where a signal handler raises in the middle of a message,
the part received is kept for the next `receive`, and the rest to send goes out before the next
message; so the stream never gets out of step.  Threads take turns, a message each.

A handler may run as soon as a system call has returned, before its result has a name.  So results
are appended to a list within C code: ``results.extend(map(os.read, (fd,), (size,)))``.

A small message on a pipe or a local socket goes, and is taken, in one native step; all else takes
the long way, which goes on with what that step began to receive.  Where there is a relay beside the
stream, messages are counted there, so that none that goes by it overtakes them.

Used by :mod:`procession.connection`.
"""

from __future__ import annotations

import io
import os
import select
import struct
import sys
import threading
import weakref
from multiprocessing import BufferTooShort
from typing import Any

from . import _family
from . import _private as private

_SHORT = struct.Struct("!i")
_LONG = struct.Struct("!iQ")
_LONG_FOLLOWS = _SHORT.pack(-1)
_LIMIT = 0x7FFFFFFF

# Up to here a message is read into objects of their own, mostly one; beyond into a buffer.
_SMALL = 1 << 16

_boxes: weakref.WeakSet[_Box] = weakref.WeakSet()


class _Box:
    """One direction of a stream."""

    def __init__(self) -> None:
        self._relay: _family.Relay | None = None
        self.reset()
        _boxes.add(self)
        private.undo(_after_fork)

    def reset(self) -> None:
        """Forget half a message, and who was at it: in a forked child it is the parent's."""
        self._stream = _family.Stream(self._relay)
        # Recursive, for a signal handler that sends where the thread it interrupts waits to.
        self._turn = threading.RLock()

    def join(self, relay: _family.Relay) -> None:
        """Count at this relay, as the other end does; to be said before anything is sent."""
        self._relay = relay
        self._stream = _family.Stream(relay)


def _refuse() -> None:
    raise RuntimeError("a signal handler used a Connection in the middle of a message on it")


def _after_fork() -> None:
    # They stay, and may be in use when this process is forked in its turn.
    private.undo(_after_fork)
    for box in list(_boxes):
        box.reset()


# ---- sending -------------------------------------------------------------------------------


class _Sending:
    """A message on its way out, behind what is left of one that was interrupted."""

    __slots__ = ("counts", "overdue", "parts", "total")

    def __init__(self, overdue: list[memoryview], head: bytes, data: bytes | memoryview) -> None:
        self.overdue = overdue
        self.parts = [*overdue, memoryview(head), memoryview(data)]
        self.total = sum(map(len, self.parts))
        self.counts: list[int] = []

    def is_amid(self) -> bool:
        return 0 < sum(self.counts) < self.total or bool(self.overdue and not self.counts)

    def left(self) -> list[memoryview]:
        """What must still go out: not the message, if nothing of it has."""
        return _after(sum(self.counts), self.parts if self.is_begun() else self.overdue)

    def is_begun(self) -> bool:
        """Has anything of the message itself gone out?"""
        return sum(self.counts) > sum(map(len, self.overdue))


class Outbox(_Box):
    """What goes into a stream."""

    def reset(self) -> None:
        """Forget half a message, and who was at it."""
        super().reset()
        self._overdue: list[memoryview] = []
        self._sending: _Sending | None = None

    def send(self, fd: int, data: bytes | memoryview) -> None:
        """Write one message whole.  Raises BrokenPipeError if nobody can read it any more."""
        with self._turn:
            if self._sending is None and not self._overdue and self._stream.send(fd, data):
                return
            size = len(data)
            head = _SHORT.pack(size) if size <= _LIMIT else _LONG.pack(-1, size)
            interrupted = self._sending
            if interrupted is not None and interrupted.is_amid():
                _refuse()
            sending = self._sending = _Sending(self._overdue, head, data)
            if self._relay is not None:
                self._relay.count_sent()
            try:
                _write(fd, sending)
            finally:
                # Copied: the sender may use its buffer for something else.
                self._overdue = [memoryview(bytes(part)) for part in sending.left()]
                self._sending = interrupted
                if self._relay is not None and not sending.is_begun():
                    self._relay.count_unsent()


def _write(fd: int, sending: _Sending) -> None:
    counts, parts = sending.counts, sending.parts
    while (done := sum(counts)) < sending.total:
        try:
            counts.extend(map(os.writev, (fd,), (_after(done, parts) if done else parts,)))
            counts[:] = [sum(counts)]
        except BlockingIOError:
            if not sending.is_amid():
                raise
            _await(fd, select.POLLOUT)


def _after(done: int, parts: list[memoryview]) -> list[memoryview]:
    """What remains of `parts` when so many bytes are written."""
    remaining = []
    for part in parts:
        if done < len(part):
            remaining.append(part[done:])
        done = max(0, done - len(part))
    return remaining


def _await(fd: int, event: int) -> None:
    """Wait for a descriptor that somebody has made non-blocking."""
    poller = select.poll()
    poller.register(fd, event)
    poller.poll()


# ---- receiving -----------------------------------------------------------------------------


class Inbox(_Box):
    """What comes out of a stream."""

    def reset(self) -> None:
        """Forget half a message, and who was at it."""
        super().reset()
        self._busy = False
        self._forget()

    def _forget(self) -> None:
        self._head: list[bytes] = []
        self._body: list[bytes] = []  # of a small message
        self._buffer: io.BytesIO | None = None  # of a large one
        self._counts: list[int] = []

    def _done(self) -> None:
        self._forget()
        if self._relay is not None:
            self._relay.count_received()

    def receive(self, fd: int, limit: int | None = None) -> bytes | None:
        """Wait for the next message and read it.

        None, and the message unread, if it is longer than `limit` bytes or its length is no
        length.  Raises EOFError where the stream ends, OSError where it ends within a message.
        """
        with self._turn:
            if limit is None and not (self._busy or self._head):
                data = self._stream.receive(fd)
                if data is not None:
                    return data
            busy = self._begin()
            try:
                size = self._length(fd)
                if size < 0 or (limit is not None and size > limit):
                    return None
                return self._whole(fd, size)
            finally:
                self._busy = busy

    def receive_into(self, fd: int, target: memoryview) -> int | None:
        """As `receive`, into `target`; gives the length.

        Raises BufferTooShort, with the message, if it does not fit.
        """
        with self._turn:
            busy = self._begin()
            try:
                size = self._length(fd)
                if size > len(target):
                    raise BufferTooShort(self._whole(fd, size))
                if size < 0:
                    return None
                self._into(fd, target[:size])
                return size
            finally:
                self._busy = busy

    def _begin(self) -> bool:
        self._stream.hand_over(self._head, self._body)
        busy, self._busy = self._busy, True
        if busy and self._head:
            _refuse()
        return busy

    def _length(self, fd: int) -> int:
        """The length of the message that comes, or a negative number if that is none."""
        head = b"".join(self._head)
        while (missing := (_LONG if head[:4] == _LONG_FOLLOWS else _SHORT).size - len(head)) > 0:
            if not self._read(fd, missing, self._head):
                raise OSError("got end of file during message") if head else EOFError
            head = b"".join(self._head)
        if len(head) == _SHORT.size:
            return int(_SHORT.unpack(head)[0])
        size = int(_LONG.unpack(head)[1])
        return size if size <= sys.maxsize else -1

    def _whole(self, fd: int, size: int) -> bytes:
        data = self._small(fd, size) if size <= _SMALL and self._buffer is None else self._large(fd, size)
        self._done()
        return data

    def _small(self, fd: int, size: int) -> bytes:
        body = self._body
        while (missing := size - sum(map(len, body))) > 0:
            if not self._read(fd, missing, body):
                raise OSError("got end of file during message")
        return body[0] if len(body) == 1 else b"".join(body)

    def _large(self, fd: int, size: int) -> bytes:
        if self._buffer is None:
            self._buffer = io.BytesIO(bytes(size))
        with self._buffer.getbuffer() as view:
            self._fill(fd, view)
        return self._buffer.getvalue()  # no copy: the buffer is a bytes object of this size

    def _into(self, fd: int, target: memoryview) -> None:
        if self._buffer is not None or self._body:
            target[:] = self._whole(fd, len(target))
            return
        try:
            self._fill(fd, target)
        except BaseException:
            self._buffer = io.BytesIO(bytes(len(target)))
            self._buffer.write(target[: sum(self._counts)])
            raise
        self._done()

    def _fill(self, fd: int, view: memoryview) -> None:
        while (got := sum(self._counts)) < len(view):
            try:
                self._counts.extend(map(os.readv, (fd,), ([view[got:]],)))
            except BlockingIOError:
                _await(fd, select.POLLIN)
                continue
            if self._counts[-1] == 0:
                raise OSError("got end of file during message")
            self._counts[:] = [sum(self._counts)]

    def _read(self, fd: int, size: int, into: list[Any]) -> bool:
        """Read up to `size` bytes; False at the end of the stream."""
        while True:
            try:
                into.extend(map(os.read, (fd,), (size,)))
            except BlockingIOError:
                if not self._head:
                    raise
                _await(fd, select.POLLIN)
                continue
            return bool(into[-1]) or bool(into.pop())
