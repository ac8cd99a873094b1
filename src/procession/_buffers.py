"""Large buffers beside a pickle: each in a block of shared memory, on which its receiver works.

Pickle offers what has a buffer, a numpy array say, apart from the stream (protocol 5).  From
`LEAST` bytes on it is copied once, into the family's heap, and the pickle holds a handle; the one
who unpickles it maps the block as memory of its own, which goes home when the last object on it
does.  Below, the copies of an ordinary pickle cost less than a block.

What is pickled remains one string of bytes that ``pickle.loads`` takes, in any process of the
family, once.  Used by :mod:`procession.reduction`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

from . import _family

LEAST = 128 << 10
"""Bytes from which on a buffer goes apart."""

_OWN = frozenset({bytes, bytearray})

_HEAD = 64
"""Bytes at the begin of a pickle in which the name of this module stands, if it has buffers apart."""


def set_apart(buffer: pickle.PickleBuffer, apart: list[_family.Buffer]) -> bool:
    """Copy a large buffer and append the copy to `apart`; false where it shall go in the stream."""
    try:
        view = buffer.raw()
    except BufferError:
        return False  # scattered: pickle itself says so
    # What was bytes shall arrive as bytes: who offers pickle a buffer of them, where queues have
    # always sent it in the stream, is not prepared to get something else.
    if view.nbytes < LEAST or type(view.obj) in _OWN:
        return False
    apart.append(_family.Buffer(view))
    return True


def wrapped(data: bytes, apart: list[_family.Buffer]) -> bytes:
    """The pickle with the handles of its buffers."""
    return pickle.dumps(_Parcel(data, apart), pickle.HIGHEST_PROTOCOL)


class _Parcel:
    __slots__ = ("_contents",)

    def __init__(self, data: bytes, buffers: list[_family.Buffer]) -> None:
        self._contents = (data, *buffers)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return unwrapped, self._contents


def unwrapped(data: bytes, *buffers: Any) -> Any:
    """The object; in pickles this is named as what rebuilds it."""
    # Views, since that is what whoever is given a buffer by pickle expects.
    return pickle.loads(data, buffers=[memoryview(buffer) for buffer in buffers])


def load_again(data: Any, taken: list[Any]) -> Any:
    """As ``pickle.loads``, of what a message brought that carried its buffers.

    Those are appended to `taken` as they are taken: where a signal handler raised in the midst of
    it, the same can be loaded again, with the same list.
    """
    if __name__.encode() not in bytes(data[:_HEAD]):
        return pickle.loads(data)
    contents, *buffers = _Unfolded(BytesIO(data)).load().args
    for take in buffers[len(taken) :]:
        # One step for the interpreter: taken and kept.
        taken.extend(map(_family.NativeBuffer._take, take.args[:1]))
    return unwrapped(contents, *taken)


class _Unfolded(pickle.Unpickler):
    """Loads a parcel as calls that are not made yet."""

    def find_class(self, module: str, name: str) -> Any:
        return partial(partial, super().find_class(module, name))
