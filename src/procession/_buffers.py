"""Large buffers beside a pickle: each in a block of shared memory, on which its receiver works.

Pickle offers what has a buffer, a numpy array say, apart from the stream (protocol 5).  From
`LEAST` bytes on it is copied once, into the family's heap, and the pickle holds a handle; the one
who unpickles it maps the block as memory of its own, which goes home when the last object on it
does.  Below, the copies of an ordinary pickle cost less than a block.

They are copied when all is pickled.  One that was received, and that nobody has any more by then,
is not copied at all: its block goes on to the next.

What is pickled remains one string of bytes that ``pickle.loads`` takes, in any process of the
family, once; or, where it is `shared`, in any number of them, each of which sees what it writes
itself.  Used by :mod:`procession.reduction`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any, NamedTuple

from . import _family

LEAST = 128 << 10
"""Bytes from which on a buffer goes apart."""

_OWN = frozenset({bytes, bytearray})

_HEAD = 64
"""Bytes at the begin of a pickle in which the name of this module stands, if it has buffers apart."""


def goes_apart(buffer: pickle.PickleBuffer) -> bool:
    """Whether it is large, and all in one place."""
    try:
        view = buffer.raw()
    except BufferError:
        return False  # scattered: pickle itself says so
    # What was bytes shall arrive as bytes: who offers pickle a buffer of them, where queues have
    # always sent it in the stream, is not prepared to get something else.
    return view.nbytes >= LEAST and type(view.obj) not in _OWN


def wrapped(data: bytes, apart: list[pickle.PickleBuffer]) -> bytes:
    """The pickle with the handles of its buffers, for one receiver; the list is emptied of them."""
    return _parcel(data, _family.Buffer._onward(apart))


def shared(data: bytes, apart: list[pickle.PickleBuffer]) -> bytes:
    """The same for any number of receivers."""
    return _parcel(data, _family.Image._onward(apart))


def _parcel(data: bytes, buffers: list[Any]) -> bytes:
    return pickle.dumps(_Parcel(data, buffers), pickle.HIGHEST_PROTOCOL)


class Draft(NamedTuple):
    """A pickle whose buffers are not copied yet; its maker may let go of what was pickled first."""

    data: bytes
    apart: list[pickle.PickleBuffer]

    def seal(self, carry: list[Any]) -> bytes:
        """As ``reduction.dumps``; what must live until the receiver has loaded it goes to `carry`."""
        with _family.carrying(carry):
            return wrapped(self.data, self.apart)


class _Parcel:
    __slots__ = ("_contents",)

    def __init__(self, data: bytes, buffers: list[Any]) -> None:
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
    if __name__.encode() not in bytes(memoryview(data)[:_HEAD]):
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
