"""Messages on a stream of bytes: each with its length before it, as the stdlib's Connection does.

A length is four bytes, signed and in network order; -1 says that eight more follow, unsigned.
Nothing is read beyond the message that is asked for.

Both directions outlive an interruption.  Where a signal handler raises in the middle of a message,
the part received is kept for the next `receive`, and the rest to send goes out before the next
message; so the stream never gets out of step.  Threads take turns, a message each.

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
from collections.abc import Callable
from multiprocessing import BufferTooShort
from typing import Any, TypeVar

_Got = TypeVar("_Got", int, bytes)

_SHORT = struct.Struct("!i")
_LONG = struct.Struct("!iQ")
_LIMIT = 0x7FFFFFFF

# Up to here a message is read by one call into an object of its own, without a buffer to fill.
_SMALL = 1 << 16

_boxes: weakref.WeakSet[_Box] = weakref.WeakSet()


class _Box:
    """One direction of a stream."""

    def __init__(self) -> None:
        self.reset()
        _boxes.add(self)

    def reset(self) -> None:
        """Forget half a message, and who was at it: in a forked child it is the parent's."""
        # Recursive, for a signal handler that sends where the thread it interrupts waits to.
        self._turn = threading.RLock()
        self._amid = False

    def _begin(self) -> None:
        if self._amid:
            raise RuntimeError("a signal handler used a Connection in the middle of a message on it")


class Outbox(_Box):
    """What goes into a stream."""

    def reset(self) -> None:
        """Forget half a message, and who was at it."""
        super().reset()
        self._rest: list[memoryview] = []

    def send(self, fd: int, data: bytes | memoryview) -> None:
        """Write one message whole.  Raises BrokenPipeError if nobody can read it any more."""
        size = len(data)
        head = _SHORT.pack(size) if size <= _LIMIT else _LONG.pack(-1, size)
        with self._turn:
            self._begin()
            if self._rest:
                self._drain(fd, self._rest)
            done = os.writev(fd, (head, data))
            if done < len(head) + size:
                self._drain(fd, _after(done, [memoryview(head), memoryview(data)]))

    def _drain(self, fd: int, parts: list[memoryview]) -> None:
        """Write the rest of a message that has begun."""
        self._amid = True
        try:
            while parts:
                parts = _after(_patiently(os.writev, fd, parts, select.POLLOUT), parts)
        finally:
            self._rest = [memoryview(bytes(part)) for part in parts]  # the sender may reuse its own
            self._amid = False


def _after(done: int, parts: list[memoryview]) -> list[memoryview]:
    """What remains of `parts` when so many bytes are written."""
    remaining = []
    for part in parts:
        if done < len(part):
            remaining.append(part[done:])
        done = max(0, done - len(part))
    return remaining


class Inbox(_Box):
    """What comes out of a stream."""

    def reset(self) -> None:
        """Forget half a message, and who was at it."""
        super().reset()
        self._forget()

    def _forget(self) -> None:
        self._head = b""
        self._buffer: io.BytesIO | None = None
        self._got = 0

    def receive(self, fd: int, limit: int | None = None) -> bytes | None:
        """Wait for the next message and read it.

        None, and the message unread, if it is longer than `limit` bytes or its length is no
        length.  Raises EOFError where the stream ends, OSError where it ends within a message.
        """
        with self._turn:
            self._begin()
            try:
                size = self._length(fd)
                if size < 0 or (limit is not None and size > limit):
                    return None
                return self._whole(fd, size)
            finally:
                self._amid = False

    def receive_into(self, fd: int, target: memoryview) -> int | None:
        """As `receive`, into `target`; gives the length.

        Raises BufferTooShort, with the message, if it does not fit.
        """
        with self._turn:
            self._begin()
            try:
                size = self._length(fd)
                if size > len(target):
                    raise BufferTooShort(self._whole(fd, size))
                if size >= 0:
                    self._into(fd, target[:size])
                return None if size < 0 else size
            finally:
                self._amid = False

    def _length(self, fd: int) -> int:
        """The length of the message that comes, or a negative number if that is none."""
        while (missing := self._missing()) > 0:
            part = self._read(fd, missing)
            if not part and not self._head:
                raise EOFError
            self._head += _some(part)
            self._amid = True
        if len(self._head) == _SHORT.size:
            size: int = _SHORT.unpack(self._head)[0]
            return size
        size = _LONG.unpack(self._head)[1]
        return size if size <= sys.maxsize else -1

    def _missing(self) -> int:
        known = len(self._head)
        is_long = known >= _SHORT.size and self._head.startswith(b"\xff\xff\xff\xff")
        return (_LONG.size if is_long else _SHORT.size) - known

    def _whole(self, fd: int, size: int) -> bytes:
        if size <= _SMALL and self._buffer is None:
            data = self._read(fd, size) if size else b""
            if len(data) == size:
                self._forget()
                return data
            self._keep(memoryview(_some(data)), size)
        elif self._buffer is None:
            self._keep(memoryview(b""), size)
        assert self._buffer is not None
        with self._buffer.getbuffer() as view:
            self._fill(fd, view)
        data = self._buffer.getvalue()  # no copy: the buffer is a bytes object of this size
        self._forget()
        return data

    def _into(self, fd: int, target: memoryview) -> None:
        if self._buffer is not None:
            target[:] = self._whole(fd, len(target))
            return
        try:
            self._fill(fd, target)
        except BaseException:
            self._keep(target[: self._got], len(target))
            raise
        self._forget()

    def _keep(self, part: memoryview, size: int) -> None:
        """Have a buffer for `size` bytes that begins with this part."""
        self._buffer, self._got = io.BytesIO(bytes(size)), len(part)
        self._buffer.write(part)

    def _fill(self, fd: int, view: memoryview) -> None:
        while self._got < len(view):
            count = _patiently(os.readv, fd, [view[self._got :]], select.POLLIN)
            self._got += _some(count)

    def _read(self, fd: int, size: int) -> bytes:
        if not self._head:
            return os.read(fd, size)
        return _patiently(os.read, fd, size, select.POLLIN)


def _patiently(call: Callable[[int, Any], _Got], fd: int, argument: Any, event: int) -> _Got:
    """Read or write on; where somebody has made the descriptor non-blocking, wait for it."""
    while True:
        try:
            return call(fd, argument)
        except BlockingIOError:
            poller = select.poll()
            poller.register(fd, event)
            poller.poll()


def _some(got: _Got) -> _Got:
    """What was read within a message, which must not be nothing."""
    if not got:
        raise OSError("got end of file during message")
    return got
