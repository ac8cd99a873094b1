"""What a starting child tells its parent: that it is under way, or why it will not be.

One pipe for all children of a process; a message names the child by a serial number, is written
in one piece (so that messages of siblings never mix) and never waited for: a child must not hang
because its parent does not listen.
"""

from __future__ import annotations

import itertools
import os
import struct
import threading
from contextlib import suppress
from weakref import WeakValueDictionary

from .. import _private as private

_HEAD = struct.Struct("=QHB")
"""Serial number, length of the text that follows, kind."""
_ARRIVED, _PART, _FAILED = range(3)
_PIECE = 2048
"""Bytes of text a message; with its head less than PIPE_BUF, which is written in one piece."""
_LONGEST = 16 * 1024
"""Bytes of a failure's text; of a longer one the end is kept, where the error stands."""
_CHUNK = 64 * 1024


TYPE_CHECKING = False  # not typing's: to import that takes a tenth of what importing all of this does
if TYPE_CHECKING:
    from typing import Protocol

    class Expected(Protocol):
        """Who started a child and waits for its report."""

        def arrived(self) -> None:
            """The child has loaded all that was sent to it."""

        def failed(self, text: str) -> None:
            """The child ends before it runs its target."""


_serials = itertools.count(1)
_expected: WeakValueDictionary[int, Expected] = WeakValueDictionary()
_lock = threading.Lock()
_drainer: int | None = None
_ends: tuple[int, int] | None = None
_unread = bytearray()
_texts: dict[int, bytes] = {}


# ---- the parent's side ---------------------------------------------------------------------


def expect(who: Expected) -> int:
    """A serial number for the child that `who` is about to start."""
    private.undo(_forget)
    serial = next(_serials)
    _expected[serial] = who
    return serial


def channel() -> tuple[int, int]:
    """The pipe: an end to wait on and one to give to children."""
    global _ends
    private.undo(_forget)
    with _lock:
        if _ends is None:
            r, w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            _ends = private.keep(r), private.keep(w)
        return _ends


def drain() -> None:
    """Hand out the reports that are there."""
    global _drainer
    if _drainer == threading.get_ident():
        return  # a finalizer that looks at processes, run in the middle of the lines below
    with _lock:
        _drainer = threading.get_ident()
        try:
            messages = _read()
        finally:
            _drainer = None
    # Outside the lock: what the receivers let go of may run anybody's finalizers.
    for serial, kind, text in messages:
        if who := _expected.pop(serial, None):
            who.failed(text) if kind == _FAILED else who.arrived()


def _read() -> list[tuple[int, int, str]]:
    messages: list[tuple[int, int, str]] = []
    if _ends is not None:
        with suppress(BlockingIOError):
            while chunk := os.read(_ends[0], _CHUNK):
                _unread.extend(chunk)
    while len(_unread) >= _HEAD.size:
        serial, length, kind = _HEAD.unpack_from(_unread)
        text = _texts.pop(serial, b"") + _unread[_HEAD.size : _HEAD.size + length]
        del _unread[: _HEAD.size + length]
        if kind == _PART:
            _texts[serial] = text
        else:
            messages.append((serial, kind, text.decode(errors="replace")))
    return messages


def _forget() -> None:
    """In a forked child: what the parent expects is the parent's affair."""
    global _lock, _drainer, _ends
    _lock, _drainer, _ends = threading.Lock(), None, None
    _expected.clear()
    _unread.clear()
    _texts.clear()


# ---- the child's side ----------------------------------------------------------------------


class Reporter:
    """The voice of one child; it speaks once, and gives up its end of the pipe with that."""

    def __init__(self, fd: int, serial: int) -> None:
        self._fd: int | None = private.keep(fd)
        self._serial = serial

    @property
    def spoken(self) -> bool:
        """Has it said what it had to say?"""
        return self._fd is None

    def arrived(self) -> None:
        """Everything is loaded, the target comes next."""
        self._say(_ARRIVED, b"")

    def failed(self, text: str) -> None:
        """Something went wrong before; `text` is a traceback."""
        self._say(_FAILED, text.encode(errors="replace")[-_LONGEST:])

    def _say(self, kind: int, text: bytes) -> None:
        if self._fd is None:
            return
        with suppress(OSError):  # the parent has gone, or let 64 KiB of reports lie
            while len(text) > _PIECE:
                self._write(_PART, text[:_PIECE])
                text = text[_PIECE:]
            self._write(kind, text)
        private.close(self._fd)
        self._fd = None

    def _write(self, kind: int, text: bytes) -> None:
        assert self._fd is not None
        os.write(self._fd, _HEAD.pack(self._serial, len(text), kind) + text)
