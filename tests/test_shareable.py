"""ShareableList against a plain list, and against the stdlib's own."""

import math
import pickle
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import shared_memory as std
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procession.shared_memory import ShareableList, SharedMemory

LARGEST = 2**63
STRINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.just("\0").map(lambda s: s * 9)
ITEMS = (
    st.integers(-LARGEST, LARGEST - 1)
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.none()
    | STRINGS
    | st.binary(max_size=40)
    | st.integers(0, 20).map(bytes)
)


@contextmanager
def made(items: Any, kind: Any = ShareableList, **options: Any) -> Iterator[Any]:
    shared = kind(items, **options)
    try:
        yield shared
    finally:
        shared.shm.close()
        shared.shm.unlink()


@contextmanager
def attached(shared: Any, kind: Any = ShareableList) -> Iterator[Any]:
    other = kind(name=shared.shm.name)
    try:
        yield other
    finally:
        other.shm.close()


def same(ours: list[Any], plain: list[Any]) -> bool:
    return ours == plain and list(map(type, ours)) == list(map(type, plain))


@settings(deadline=None)
@given(st.lists(ITEMS, max_size=12))
def test_it_gives_back_what_it_got(items: list[Any]) -> None:
    with made(items) as shared:
        assert len(shared) == len(items)
        assert same(list(shared), items)
        with attached(shared) as other:
            assert same(list(other), items)
        for item in items:
            assert shared.count(item) == items.count(item)
            assert shared.index(item) == items.index(item)


@settings(deadline=None)
@given(st.lists(ITEMS, min_size=1, max_size=8), st.lists(st.tuples(st.integers(-10, 10), ITEMS), max_size=20))
def test_it_changes_as_a_list_does(items: list[Any], changes: list[tuple[int, Any]]) -> None:
    with made(items) as shared, attached(shared) as other:
        for place, item in changes:
            try:
                shared[place] = item
            except IndexError:
                assert not -len(items) <= place < len(items)
            except ValueError:
                assert isinstance(item, str | bytes)  # too long for its place
            else:
                items[place] = item
            assert same(list(shared), items)
            assert same(list(other), items)


@settings(deadline=None)
@given(st.lists(ITEMS, max_size=8))
def test_the_stdlib_reads_it_as_it_reads_its_own(items: list[Any]) -> None:
    with made(items) as shared, attached(shared, std.ShareableList) as other:
        assert same(list(other), [stripped(item) for item in items])


def stripped(item: Any) -> Any:
    if isinstance(item, bytes):
        return item.rstrip(b"\0")
    return item.rstrip("\0") if isinstance(item, str) else item


@settings(deadline=None)
@given(st.lists(ITEMS.filter(lambda item: not isinstance(item, str) or item.isascii()), max_size=8))
def test_it_reads_and_changes_the_stdlibs(items: list[Any]) -> None:
    with made(items, std.ShareableList) as theirs, attached(theirs) as shared:
        assert same(list(shared), [stripped(item) for item in items])
        for place, item in enumerate(items):
            shared[place] = item
        assert same(list(shared), items)


@settings(deadline=None)
@given(st.text("aß\0", min_size=1, max_size=12), st.text("aß", max_size=12))
def test_the_stdlib_changes_it(before: str, after: str) -> None:
    with made([before, "next\0"]) as shared, attached(shared, std.ShareableList) as theirs:
        try:
            theirs[0] = after
        except ValueError:
            after = before
        assert list(shared) == [after, "next\0"]


def test_nan() -> None:
    with made([math.nan]) as shared:
        assert math.isnan(shared[0])


@pytest.mark.parametrize("place", [3, -4, 100, -100])
def test_there_is_nothing_beyond_its_ends(place: int) -> None:
    with made([1, "x", None]) as shared:
        with pytest.raises(IndexError, match="index out of range"):
            shared[place]
        with pytest.raises(IndexError, match="assignment index out of range"):
            shared[place] = 1


@pytest.mark.parametrize(
    ("item", "error"),
    [(1 << 63, struct.error), (1j, KeyError), ([], KeyError), ("x" * 99, ValueError), (b"y" * 9, ValueError)],
)
def test_what_is_refused_changes_nothing(item: Any, error: type[Exception]) -> None:
    with made([b"one\0", 2]) as shared:
        for place in (0, 1):
            with pytest.raises(error):
                shared[place] = item
        assert list(shared) == [b"one\0", 2]


def test_a_list_that_cannot_be_made_leaves_nothing() -> None:
    for items in ([1 << 63], [1j], [b"\0" * 1_000_000]):
        with pytest.raises((struct.error, KeyError, ValueError)):
            ShareableList(items, name="procession-test-refused")
        with pytest.raises(FileNotFoundError):
            SharedMemory("procession-test-refused")


def test_from_any_iterable_and_for_names() -> None:
    with made(item for item in (1, "a")) as shared:
        assert list(shared) == [1, "a"]
        assert type(pickle.loads(pickle.dumps(shared))) is ShareableList
        with made(shared, name="procession-test-copy") as copy:
            assert (list(copy), copy.shm.name) == ([1, "a"], "procession-test-copy")
    assert ShareableList[int].__origin__ is ShareableList  # type: ignore[misc]
    with made(None) as empty:
        assert (len(empty), list(empty), empty.format) == (0, [], "")


def test_long_ones() -> None:
    with made([b"x" * 2_000_000, b"\0" * 999_999]) as shared:
        assert shared[0] == b"x" * 2_000_000
        assert shared[1] == b"\0" * 999_999


def change(shared: Any, told: Any) -> None:
    shared[0] = "child\0"
    told.put(list(shared))


def test_in_every_process(ctx: Any) -> None:
    told = ctx.Queue()
    with made(["parent\0\0", 2]) as shared:
        process = ctx.Process(target=change, args=(shared, told))
        process.start()
        assert told.get() == ["child\0", 2]
        process.join()
        assert list(shared) == ["child\0", 2]
    told.close()
