"""Large things to send, and whether their memory came home."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from procession import _buffers, _family
from tests.kit import eventually

LARGE = 3 * _buffers.LEAST
"""Bytes of something that goes apart."""


def floats(size: int = LARGE // 8) -> Any:
    return np.arange(size, dtype=float)


@contextmanager
def all_comes_home() -> Iterator[None]:
    """What the block takes of the family's heap must be free afterwards."""
    _family.bury(0)
    before = used()
    yield
    # What was raised may refer to what was held.
    gc.collect()
    # A list of holds may have grown.
    assert eventually(lambda: _family.bury(0) == 0 and used() - before < _buffers.LEAST, 10)


def used() -> int:
    return _family.heap_stats()["used"]


def assert_same(one: Any, other: Any) -> None:
    """Of one type, and equal, in arrays and whatever holds arrays too."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.flags.writeable == other.flags.writeable
        assert one.flags.f_contiguous == other.flags.f_contiguous
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    else:
        assert one == other
