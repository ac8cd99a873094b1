"""Plain values as pickles without a pickler: pickle reads what we write, and we what pickle writes."""

import io
import math
import pickle
import pickletools
import struct
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from procession import _core

LONGEST = 65535

EDGES = [
    n + d
    for e in (7, 8, 15, 16, 31, 32, 39, 40, 47, 48, 55, 56, 63)
    for n in (2**e, -(2**e))
    for d in (-1, 0, 1)
]
INTS = [n for n in (0, *EDGES) if -(2**63) <= n < 2**63]
FLOATS = [0.0, -0.0, 1.5, 5e-324, 1.7976931348623157e308, math.inf, -math.inf]
STRINGS = ["", "a", "é", "€", "😀", "\0", "x" * 255, "x" * 256, "é" * 128, "x" * LONGEST]
BYTES = [b"", b"\0", b".", b"x" * 255, b"x" * 256, b"x" * LONGEST]
TUPLES: list[Any] = [
    (),
    (1,),
    (1, "a"),
    (None, True, b""),
    (1, 2, 3, 4),
    tuple("abcdefgh"),
    (300, 300, 2.5, 2.5),
]
CONTAINERS: list[Any] = [
    [],
    [1],
    {},
    {"a": [1, (2.5, None)], b"b": {}},
    ((1,),),
    ([],),
    tuple(range(127)),
    ("x" * 300,),
]
CONTAINERS += [list(range(127)), ["x" * 60_000, "y" * 5_000], ("one object, twice",) * 2]
PLAIN: list[Any] = [None, True, False, *INTS, *FLOATS, *STRINGS, *BYTES, *TUPLES, *CONTAINERS]


class Number(int):
    pass


class Text(str):
    __slots__ = ()


class Row(list[int]):
    __slots__ = ()


class Pair(tuple[int, int]):
    __slots__ = ()


NOT_PLAIN: list[Any] = [2**63, -(2**63) - 1, Number(1), Text("a"), Pair((1, 2)), 1j, ..., bytearray(), {1}]
NOT_PLAIN += ["\ud800", "a\udfffb", "x" * (LONGEST + 1), b"x" * (LONGEST + 1), Row([1]), OrderedDict(a=1)]
NOT_PLAIN += [[{1}], {"a": [2**63]}, ("\ud800",), {Number(1): 1}, list(range(128)), [list(range(64))] * 2]
NOT_PLAIN += [["x" * 60_000, "y" * 6_000]]


def scalars(**texts: Any) -> st.SearchStrategy[Any]:
    numbers = st.none() | st.booleans() | st.integers() | st.floats()
    return numbers | st.text(st.characters(**texts)) | st.binary()


nested = st.recursive(scalars(), lambda some: st.lists(some) | st.dictionaries(st.text(), some), max_leaves=9)
anything = nested | st.lists(scalars(), max_size=10).map(tuple) | st.text(st.characters(categories=["Cs"]))


def same(one: object, other: object) -> bool:
    """The same value of the same type: NaN as well, and 0.0 is not -0.0."""
    if isinstance(one, tuple | list) and isinstance(other, type(one)):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and repr(one) == repr(other)


def by_pickle(value: object) -> list[bytes]:
    """What pickle writes for it, in the protocols of our time."""
    without_memo = [pickletools.optimize(pickle.dumps(value, protocol)) for protocol in (4, 5)]
    return [pickle.dumps(value, protocol) for protocol in range(6)] + without_memo


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:20])
def test_plain_values_go_and_come(value: Any) -> None:
    data = _core.dumps_plain(value)
    assert data is not None
    assert data[:2] == b"\x80\x05"
    assert same(pickle.loads(data), value)
    assert same(pickle._loads(data), value)  # type: ignore[attr-defined]
    pickletools.dis(data, out=io.StringIO())
    assert all(same(_core.loads(pickled), value) for pickled in (data, *by_pickle(value)))


@pytest.mark.parametrize("value", NOT_PLAIN, ids=lambda value: repr(value)[:20])
def test_all_else_is_pickles(value: Any) -> None:
    assert _core.dumps_plain(value) is None
    assert all(same(_core.loads(data), value) for data in (pickle.dumps(value, 4), pickle.dumps(value, 5)))


@given(anything)
@example(math.nan)
def test_any_value_arrives_as_by_pickle(value: object) -> None:
    data = _core.dumps_plain(value)
    written = by_pickle(value) if data is None else [data, *by_pickle(value)]
    assert all(same(_core.loads(pickled), value) for pickled in written)
    assert data is None or same(pickle.loads(data), value)


@given(st.binary(max_size=40).map(lambda rest: b"\x80\x05" + rest) | st.binary(max_size=40))
@example(b"")
@example(b"\x80\x05")
@example(b"\x80\x05(.")
@example(b"\x80\x05t.")
@example(b"\x80\x05(t.")
@example(b"\x80\x05K\x01\x85")
@example(b"\x80\x05(K\x01K\x02\x86.")
@example(b"\x80\x05K\x01K\x02.")
@example(b"\x80\x05\x8a\x00.")
@example(b"\x80\x05\x8a\x09\1\1\1\1\1\1\1\1\1.")
@example(b"\x80\x05C\xff.")
@example(b"\x80\x05B\xff\xff\xff\xff.")
@example(b"\x80\x05X\x01\0\0\0\xff.")
@example(b"\x80\x05\x95" + struct.pack("<Q", 2**64 - 1) + b"N.")
@example(b"\x80\x05\x95" + struct.pack("<Q", 2) + b"N.")
@example(b"\x80\x05\x95" + struct.pack("<Q", 1) + b"N.")
@example(b"\x80\x06N.")
@example(b"\x80\x05N.N.")
def test_nonsense_is_what_it_is_to_pickle(data: bytes) -> None:
    try:
        expected: object = pickle.loads(data)
    except Exception as error:  # noqa: BLE001 - whatever it is
        with pytest.raises(type(error)):
            _core.loads(data)
    else:
        assert same(_core.loads(data), expected)


def test_any_bytes_like_object_is_read() -> None:
    assert _core.loads(memoryview(b"\x80\x05K\x01.")) == 1
    assert _core.loads(bytearray(b"\x80\x05K\x01.")) == 1
    with pytest.raises(TypeError):
        _core.loads("\x80\x05K\x01.")


def test_one_object_in_two_places_stays_one() -> None:
    one, item = "one object, twice", [1]
    for twice in ((one, one), [item, item]):
        data = _core.dumps_plain(twice)
        assert data is not None
        value = _core.loads(data)
        assert value[0] is value[1]


def test_what_contains_itself_is_pickles() -> None:
    circle: list[Any] = []
    circle.append(circle)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert _core.dumps_plain(circle) is None
    assert _core.dumps_plain(deep) is None
