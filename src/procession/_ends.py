"""What the stdlib's queues have as ``_reader`` and ``_writer``: the two ends of their pipe.

Ours have no pipe, but these do with the ring what a Connection does with a pipe, so that code
which waits on ``queue._reader`` or sends through ``queue._writer`` finds what it expects.  Used by
:mod:`procession.queues`.
"""

from __future__ import annotations

from typing import Any, Self

from ._port import Data, Port, is_closed

HANDLE_CLOSED = "handle is closed"


class _End:
    """An end of the ring; pickled, it is an end of the same ring."""

    def __init__(self, port: Port) -> None:
        self._port = port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        raise NotImplementedError


class Reader(_End):
    """The end to receive from; the queue's ``get`` raises OSError once it is closed."""

    readable, writable = True, False

    @property
    def closed(self) -> bool:
        """Was it closed, or the queue?"""
        return is_closed(self._port.get)

    def close(self) -> None:
        """Close this process's end."""
        if not self.closed:
            self._port.close_get(OSError, HANDLE_CLOSED)

    def fileno(self) -> int:
        """A descriptor, readable exactly while a message waits; OSError when closed."""
        if self.closed:
            raise OSError(HANDLE_CLOSED)
        return self._port.descriptor()

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Is a message there, or will one be within `timeout` seconds?  None waits for ever."""
        if self.closed:
            raise OSError(HANDLE_CLOSED)
        return self._port.poll(timeout)

    def recv(self) -> Any:
        """Take the next object."""
        return self._port.unpack(self._take())

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """Take the next message as it is; OSError if it is longer than `maxlength`, and it is lost."""
        if maxlength is not None and maxlength < 0:
            raise ValueError("negative maxlength")
        data = bytes(self._take())
        if maxlength is not None and len(data) > maxlength:
            raise OSError("bad message length")
        return data

    def _take(self) -> Data:
        data = self._port.get(False)
        return self._port.take() if data is None else data


class Writer(_End):
    """The end to send into; the queue's ``put`` raises OSError once it is closed."""

    readable, writable = False, True

    @property
    def closed(self) -> bool:
        """Was it closed, or the queue?"""
        return is_closed(self._port.put)

    def close(self) -> None:
        """Close this process's end."""
        if not self.closed:
            self._port.close_put(OSError, HANDLE_CLOSED)

    def send(self, obj: object) -> None:
        """Put an object."""
        self._port.send(obj)

    def send_bytes(self, buf: Any, offset: int = 0, size: int | None = None) -> None:
        """Put bytes as they are: `size` of them from `offset` on, all by default."""
        view = memoryview(buf).cast("B")
        end = len(view) if size is None else offset + size
        if not 0 <= offset <= end <= len(view):
            raise ValueError(f"no {size} bytes at offset {offset} of {len(view)}")
        self._port.send_bytes(view[offset:end], [])
