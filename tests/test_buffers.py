"""Large buffers that travel beside a pickle: what arrives is what was sent."""

import array
import pickle
from collections.abc import Iterator
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from procession import _buffers, _family
from procession.errors import TransferError
from procession.queues import Queue, SimpleQueue
from procession.reduction import dumps, loads, parts
from tests.arrays import LARGE, all_comes_home, assert_same, floats
from tests.kit import run_script


@pytest.fixture
def at_home() -> Iterator[None]:
    with all_comes_home():
        yield


# ---- what arrives ----------------------------------------------------------------------------


class Sub(np.ndarray):
    """A kind of array of somebody's own."""


class OfBytes:
    """Offers pickle a buffer of bytes, and expects bytes back."""

    def __init__(self, data: Any) -> None:
        assert isinstance(data, (bytes, bytearray))
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> Any:
        return OfBytes, (pickle.PickleBuffer(self.data),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OfBytes) and self.data == other.data

    __hash__ = object.__hash__


def readonly() -> Any:
    made = floats()
    made.flags.writeable = False
    return made


THINGS = {
    "an array": floats(),
    "in Fortran's order": np.asfortranarray(floats().reshape(3, -1)),
    "with gaps": floats()[::2],
    "turned round": floats()[::-1],
    "a view on a part": floats()[7:-5],
    "empty": floats(0),
    "of no dimension": np.array(5.0),
    "of objects": np.array(["x", None, 3] * LARGE, dtype=object)[:LARGE],
    "of records": np.zeros(LARGE // 12, dtype=[("a", "i4"), ("b", "f8")]),
    "of times": np.zeros(LARGE // 8, dtype="M8[s]"),
    "of text": np.array(["abc", "de"] * (LARGE // 24)),
    "of another byte order": floats().astype(">f8"),
    "read-only": readonly(),
    "a subclass": floats().view(Sub),
    "masked": np.ma.masked_less(floats(), 5),
    "in a structure": {"a": [floats(), (floats(), b"x" * LARGE)], "b": None},
    "bytes": b"x" * LARGE,
    "bytearray": bytearray(b"x" * LARGE),
    "text": "\xe4" * LARGE,
    "array.array": array.array("d", range(LARGE // 8)),
    "a buffer of bytes": OfBytes(b"x" * LARGE),
    "a buffer of a bytearray": OfBytes(bytearray(b"x" * LARGE)),
}


def plain(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing, pickle.HIGHEST_PROTOCOL))


@pytest.mark.parametrize("name", THINGS)
@pytest.mark.parametrize("kind", [Queue, SimpleQueue])
def test_what_arrives_is_what_plain_pickle_brings(kind: Any, name: str, at_home: None) -> None:
    queue, thing = kind(), THINGS[name]
    queue.put(thing)
    assert_same(queue.get(), plain(thing))
    queue.close()


def test_a_large_array_goes_apart_and_a_small_one_in_the_stream() -> None:
    carry: list[Any] = []
    assert len(dumps([floats(), floats()], carry)) < 1000
    assert [type(block) for block in carry] == [_family.Buffer] * 2
    for way in (
        lambda: dumps(floats(10), carry),
        lambda: dumps(floats(), carry, in_band=True),
        lambda: dumps(floats()),
        lambda: ForkingPickler.dumps(floats()),
    ):
        carry.clear()
        data = way()
        assert carry == []
        assert plain(pickle.loads(data)).size in (10, LARGE // 8)


def test_scattered_memory_is_refused_as_by_pickle() -> None:
    with pytest.raises(TransferError, match="non-contiguous"):
        dumps(pickle.PickleBuffer(memoryview(bytearray(LARGE))[::2]), [])


def test_a_large_pickle_comes_in_parts_and_arrives_whole() -> None:
    for thing in (b"x" * LARGE, ["y" * LARGE, bytearray(b"z" * LARGE), list(range(LARGE))]):
        made = parts(thing, [])
        assert isinstance(made, list)
        assert loads(b"".join(made)) == thing
        queue: Any = SimpleQueue()
        queue.put(thing)
        assert queue.get() == thing
        queue._writer.send(thing)
        assert loads(queue._reader.recv_bytes()) == thing
        queue.close()


def test_names_of_main_are_found_in_large_messages() -> None:
    result = run_script(
        """
        from procession.queues import SimpleQueue
        import numpy as np

        class Mine:
            pass

        if __name__ == "__main__":
            queue = SimpleQueue()
            queue.put([b"x" * 100_000, Mine(), "y" * 100_000, np.zeros(100_000), lambda: 5])
            print(type(queue.get()[1]) is Mine)
        """
    )
    assert result.check().stdout == "True\n"


sizes = some.integers(0, 4000)
kinds = some.sampled_from(["f8", "i2", "u1", "S3", "c16", "?"])
orders = some.sampled_from("CF")


@some.composite
def arrays(draw: Any) -> Any:
    rows, columns = draw(sizes) % 50, draw(sizes) % 80
    seed = np.random.default_rng(draw(sizes))
    made = seed.integers(0, 100, (rows, columns)).astype(draw(kinds), order=draw(orders))
    made = made[:: draw(some.sampled_from([1, 1, 2, -1]))]
    made.flags.writeable = draw(some.booleans())
    return made


things = some.recursive(
    arrays()
    | some.binary(max_size=3000)
    | some.builds(bytearray, some.binary(max_size=3000))
    | some.integers(),
    lambda inner: some.lists(inner, max_size=4) | some.tuples(inner, inner),
    max_leaves=6,
)


@settings(max_examples=120, deadline=None)
@given(things, some.sampled_from([1, 100, 2000]))
def test_whatever_it_is_it_arrives_as_it_was(thing: Any, least: int) -> None:
    queue: Any = Queue()
    before = _buffers.LEAST
    _buffers.LEAST = least
    try:
        queue.put(thing)
    finally:
        _buffers.LEAST = before
    assert_same(queue.get(), plain(thing))
