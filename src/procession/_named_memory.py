"""SharedMemory, for :mod:`procession.shared_memory`."""

from __future__ import annotations

import _posixshmem  # type: ignore[import-not-found]
import errno
import mmap
import os
from multiprocessing import shared_memory as _std
from typing import TYPE_CHECKING, Any, cast

from . import resource_tracker

__all__ = ["SharedMemory"]


class _AsCreator(int):
    """What `track` is where it is not given: equal to True, and yet to be known from it."""

    def __repr__(self) -> str:
        return "True"


_DEFAULT = cast("bool", _AsCreator(True))


class SharedMemory(_std.SharedMemory):
    """A block of shared memory with a name.

    `name`: without a slash; None lets a new block have a name of its own.  `create`: make the block,
    else attach to the one of that name.  `size`: of a new block in bytes, at least 1.  `buf` shows
    the block as a memoryview, in which NumPy arrays may lie.

    `track`: have the block unlinked when the last process of this program has ended, in case nobody
    has done so by then.  By default that goes for blocks made here; who attaches to a block leaves it
    alone, unless it says `track=True`.  With False this object has nothing to do with the tracker.

    All of a new block's memory is allotted at once, so that writing to it can never fail.

    Raises FileExistsError if a block of that name is there, FileNotFoundError if none is, ValueError
    for a size that is none or a missing name, OSError where the system has no room for it.
    """

    __module__ = "procession.shared_memory"

    _fd: int
    _mmap: Any
    _buf: Any
    _size: int
    _flags: int
    _mode: int
    _prepend_leading_slash: bool

    def __init__(
        self, name: str | None = None, create: bool = False, size: int = 0, *, track: bool = _DEFAULT
    ) -> None:
        if create:
            self._flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
        if size < 0 or (create and size == 0):
            raise ValueError(f"size must be a number of bytes, 1 or more, not {size!r}")
        if name is None and not self._flags & os.O_EXCL:
            raise ValueError("name can be None only with create=True")
        self._track: bool = track
        self._is_registered = bool(track) and (create or track is not _DEFAULT)
        if name is None:
            self._open_new()
        else:
            self._open("/" + name if self._prepend_leading_slash else name)
        try:
            if create:
                _allot(self._fd, size)
            self._size = os.fstat(self._fd).st_size
            self._mmap = mmap.mmap(self._fd, self._size)
        except BaseException:
            self._close_fd()
            if create:
                self.unlink()
            raise
        self._buf = memoryview(self._mmap)

    def _open_new(self) -> None:
        while True:
            try:
                return self._open(_std._make_filename(), is_ours=True)  # type: ignore[attr-defined]
            except FileExistsError:
                continue

    def _open(self, name: str, is_ours: bool = False) -> None:
        # A name made here is known to the tracker before there is a block: who is killed in between
        # leaves nothing.  One that was given may be somebody else's until it is seen to be free.
        if "\0" in name:
            raise ValueError(f"embedded null character in the name {name!r}")
        if is_ours:
            self._register(name)
        try:
            self._fd = _posixshmem.shm_open(name, self._flags, mode=self._mode)
        except BaseException:
            if is_ours and self._is_registered:
                resource_tracker.unregister(name, "shared_memory")
            raise
        self._name = name
        if not is_ours:
            self._register(name)

    def _register(self, name: str) -> None:
        if self._is_registered:
            # Looked up now: programs put their own in its place.
            resource_tracker.register(name, "shared_memory")

    if TYPE_CHECKING:

        @property
        def buf(self) -> memoryview: ...

    def close(self) -> None:
        """Give up this object's access; the block stays.

        Raises BufferError while there are views of `buf`, such as NumPy arrays.
        """
        if self._buf is not None:
            self._buf.release()
            self._buf = None
        if self._mmap is not None:
            self._mmap.close()
            self._mmap = None
        self._close_fd()

    def _close_fd(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def __del__(self) -> None:
        try:
            self.close()
        except BufferError:
            # Views keep the memory, as long as there are any.
            self._buf = self._mmap = None
            self._close_fd()
        except OSError:
            pass

    def unlink(self) -> None:
        """Take the name away: nobody can attach to the block any more, and it goes with its last user.

        Raises FileNotFoundError if somebody has done so already.
        """
        if not self._name:
            return
        try:
            _posixshmem.shm_unlink(self._name)
        except FileNotFoundError:
            # The tracker would complain of it at the end.
            self._unregister()
            raise
        self._unregister()

    def _unregister(self) -> None:
        if self._track:
            resource_tracker.unregister(self._name, "shared_memory")


def _allot(fd: int, size: int) -> None:
    """Make the block so long, and have the system find the memory now rather than kill us later."""
    os.ftruncate(fd, size)
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return
        raise OSError(
            error.errno, f"{os.strerror(error.errno or 0)}: {size} bytes of shared memory were asked for"
        ) from None
