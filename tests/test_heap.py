"""Blocks of shared memory."""

import multiprocessing.heap as std
import pickle
import sys
from typing import Any

import pytest

from procession import heap
from procession.heap import BufferWrapper
from tests.kit.running import end, start


def test_it_is_one_of_the_stdlibs() -> None:
    assert isinstance(BufferWrapper(8), std.BufferWrapper)
    assert [name for name in dir(std) if not hasattr(heap, name)] == []
    assert heap.Arena is std.Arena


@pytest.mark.parametrize("size", [0, 1, 7, 64, 4096, 1_000_003])
def test_memory_is_zeroed_writable_and_of_the_size_asked_for(size: int) -> None:
    for _ in range(3):
        view = BufferWrapper(size).create_memoryview()
        assert (view.nbytes, view.readonly, any(view)) == (size, False, False)
        # For the next round, which may get the same memory.
        view[:] = b"\xff" * size


def test_nonsense_for_a_size_is_refused() -> None:
    with pytest.raises(ValueError, match="Size -1 out of range"):
        BufferWrapper(-1)
    with pytest.raises(OverflowError, match="too large"):
        BufferWrapper(sys.maxsize)
    with pytest.raises(MemoryError):
        BufferWrapper(1 << 60)
    with pytest.raises(TypeError):
        BufferWrapper("8")  # type: ignore[arg-type]


def test_the_memory_stays_while_a_view_of_it_does() -> None:
    view = BufferWrapper(1000).create_memoryview()
    view[:] = b"x" * 1000
    others = [BufferWrapper(1000) for _ in range(50)]
    assert bytes(view) == b"x" * 1000
    del others


def fill(wrapper: BufferWrapper) -> None:
    wrapper.create_memoryview()[:] = wrapper.text  # type: ignore[attr-defined]


def test_every_process_sees_the_same_bytes(ctx: Any) -> None:
    wrapper: Any = BufferWrapper(5)
    wrapper.text = b"hello"
    end(start(ctx, fill, wrapper))
    assert bytes(wrapper.create_memoryview()) == b"hello"


def test_it_can_be_pickled_at_any_time() -> None:
    wrapper = BufferWrapper(5)
    pickle.loads(pickle.dumps(wrapper)).create_memoryview()[:] = b"12345"
    assert bytes(wrapper.create_memoryview()) == b"12345"
