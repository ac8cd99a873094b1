"""ShareableList, for :mod:`procession.shared_memory`.

The layout in memory is the stdlib's: the number of items; where each begins and the last ends; the
items; for each a `struct` format of up to eight bytes; for each a code for what it is.

The stdlib keeps no length of a str or bytes but pads it with NULs, and takes off all at the end when
it reads.  So a value that ends in NULs gets a format that says how long it is, ``"5sx"``; the pad byte
tells it from the stdlib's formats, is never read or written, and the stdlib's own lists can do with it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from multiprocessing import shared_memory as _std
from typing import TYPE_CHECKING, Any

from ._named_memory import SharedMemory

__all__ = ["ShareableList"]

_WORD = 8
_EXACT = "sx"
_LONGEST_FORMAT = 8
_CODE_OF_STR = 1


class ShareableList(_std.ShareableList[Any]):
    """A list of fixed length in shared memory.

    `sequence`: int (of 64 bits), float, bool, str, bytes and None, and nothing else.  `name`: of its
    memory; alone, it attaches to the list of that name.  An item may be replaced by one of any of these
    types; a str (in UTF-8) or bytes must not be longer than the room that was made for the first item
    there: 8 bytes, for a longer str or bytes the next multiple of 8 above its length.

    Raises KeyError for an item of another type, struct.error for an int of more than 64 bits,
    ValueError for what has no room, and what SharedMemory raises.  Where a new item is refused the
    one before stays as it was.
    """

    __module__ = "procession.shared_memory"

    shm: SharedMemory
    _list_len: int
    _allocated_offsets: list[int]
    _types_mapping: dict[type, str]
    _offset_data_start: int
    _offset_back_transform_codes: int

    def __init__(self, sequence: Iterable[Any] | None = None, *, name: str | None = None) -> None:
        if sequence is None and name is not None:
            self.shm = SharedMemory(name)
            self._list_len = len(self)
            self._allocated_offsets = list(struct.unpack_from(self._ends(), self.shm.buf, _WORD))
            return
        items = list(sequence or ())
        self._list_len = len(items)
        self._allocated_offsets = [0]
        for item in items:
            self._allocated_offsets.append(self._allocated_offsets[-1] + _room(item))
        packed = [self._pack(place, item) for place, item in enumerate(items)]
        self.shm = SharedMemory(name, create=True, size=self._offset_back_transform_codes + self._list_len)
        struct.pack_into("q", self.shm.buf, 0, self._list_len)
        struct.pack_into(self._ends(), self.shm.buf, _WORD, *self._allocated_offsets)
        for place, (fmt, data) in enumerate(packed):
            self._write(place, fmt, data, items[place])

    def _ends(self) -> str:
        return "q" * (self._list_len + 1)

    def __getitem__(self, position: int) -> Any:
        place = self._place(position, "index out of range")
        start = self._offset_data_start + self._allocated_offsets[place]
        fmt = self._get_packing_format(place)
        if not fmt.endswith(_EXACT):
            (value,) = struct.unpack_from(fmt, self.shm.buf, start)
            return self._get_back_transform(place)(value)
        data = bytes(self.shm.buf[start : start + int(fmt.removesuffix(_EXACT))])
        is_str = self.shm.buf[self._offset_back_transform_codes + place] == _CODE_OF_STR
        return data.decode() if is_str else data

    def __setitem__(self, position: int, value: Any) -> None:
        place = self._place(position, "assignment index out of range")
        self._write(place, *self._pack(place, value), value)

    def _place(self, position: int, complaint: str) -> int:
        place = position + self._list_len if position < 0 else position
        if not 0 <= place < self._list_len:
            raise IndexError(complaint)
        return place

    def _pack(self, place: int, value: Any) -> tuple[str, bytes]:
        """The format of an item, and its bytes."""
        if not isinstance(value, (str, bytes)):
            fmt = self._types_mapping[type(value)]
            return fmt, struct.pack(fmt, value)
        start, end = self._allocated_offsets[place : place + 2]
        room, data = end - start, _encoded(value)
        if len(data) > room:
            raise ValueError(
                f"bytes/str item exceeds available storage: it has {len(data)} bytes, not {room}"
            )
        fmt = f"{len(data)}{_EXACT}" if data.endswith(b"\0") else f"{room}s"
        if len(fmt) > _LONGEST_FORMAT:
            raise ValueError(
                f"a str or bytes of {len(data)} bytes is too long for a ShareableList, where they may have"
                " 9,999,991, and 999,999 if they end in NUL"
            )
        return fmt, data.ljust(room, b"\0")

    def _write(self, place: int, fmt: str, data: bytes, value: Any) -> None:
        start = self._offset_data_start + self._allocated_offsets[place]
        self.shm.buf[start : start + len(data)] = data
        self._set_packing_format_and_transform(place, fmt, value)

    if TYPE_CHECKING:

        def _get_packing_format(self, position: int) -> str: ...
        def _get_back_transform(self, position: int) -> Any: ...
        def _set_packing_format_and_transform(self, position: int, fmt: str, value: Any) -> None: ...


def _encoded(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _room(item: Any) -> int:
    """How many bytes are set aside for an item, and for those that come in its place.

    As many as the stdlib takes, which counts characters, but never less than the item has.
    """
    if not isinstance(item, (str, bytes)):
        return _WORD
    return max(len(item) // _WORD + 1, -(-len(_encoded(item)) // _WORD)) * _WORD
