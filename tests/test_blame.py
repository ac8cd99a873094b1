"""What cannot travel is refused by an error that names the part, and the way to it."""

import functools
import multiprocessing
import multiprocessing.context
import multiprocessing.pool
import multiprocessing.reduction
import multiprocessing.resource_sharer
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from procession.errors import (
    TransferAttributeError,
    TransferError,
    TransferRecursionError,
    TransferTypeError,
)
from procession.reduction import dumps
from tests.samples import LOCK, Bad, Box, copy


class Slotted:
    """A part in a slot."""

    __slots__ = ("part",)

    def __init__(self, part: Any) -> None:
        self.part = part


class OwnList(list[Any]):
    """A list with an attribute."""


def closing_over(part: Any) -> Callable[[], Any]:
    return lambda: part


def make_list(part: Any) -> OwnList:
    made = OwnList([1, part])
    made.label = "x"  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (LOCK, ""),
        ([1, LOCK], "[1]"),
        ({"a": {("b", 1): LOCK}}, "['a'][('b', 1)]"),
        ({LOCK: 1}, f"<key {repr(LOCK)[:37]}...>"),
        (Box(rows={"x": [Box(_lock=LOCK)]}), "rows['x'][0]._lock"),
        (Slotted(LOCK), "part"),
        (make_list(LOCK), "[1]"),
        (ValueError("text", LOCK), "args[1]"),
        (functools.partial(print, 1, end=LOCK), "keywords['end']"),
        (functools.partial(print, LOCK), "args[0]"),
        (Box(a=LOCK).method, "__self__.a"),
        (closing_over([LOCK]), "<closure>.part[0]"),
        (lambda lock=LOCK: 1, "__defaults__[0]"),
        ((i for i in ()), ""),
        (type("Local", (), {"part": [LOCK]}), "part[0]"),
        (type("Local", (), {"part": [LOCK]})(), "__class__.part[0]"),
        (Bad(ValueError("no")), ""),
        ([Box(bad=Bad(ValueError("no")))], "[0].bad"),
    ],
    ids=str,
)
def test_the_part_that_cannot_travel_is_named(value: Any, path: str) -> None:
    with pytest.raises(TransferError) as caught:
        dumps(value)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: " if path else "")
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"target": print, "args": (1, LOCK)}, "args[1]"),
        ({"target": closing_over(LOCK)}, "target.<closure>.part"),
        ({"target": print, "kwargs": {"a": LOCK}}, "kwargs['a']"),
    ],
)
def test_a_process_knows_its_arguments_by_the_callers_names(given: dict[str, Any], path: str) -> None:
    # Processes are pickled only while one is being started.
    multiprocessing.context.set_spawning_popen(object())
    try:
        with pytest.raises(TransferTypeError) as caught:
            dumps(multiprocessing.Process(**given))
    finally:
        multiprocessing.context.set_spawning_popen(None)
    assert caught.value.path == path


def test_a_label_says_what_the_value_is() -> None:
    with pytest.raises(TransferTypeError, match=r"^args\[1\]\.a: cannot pickle '_thread.lock' object$"):
        dumps((1, Box(a=LOCK)), label="args")
    with pytest.raises(TransferTypeError, match=r"^item\.a: cannot pickle '_thread.lock' object$"):
        dumps(Box(a=LOCK), label="item")
    with pytest.raises(TransferTypeError, match=r"^item: cannot pickle '_thread.lock' object$"):
        dumps(LOCK, label="item")


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError("broken pump"), TransferError, "[0]: ValueError: broken pump"),
        (KeyError("pump"), TransferError, "[0]: KeyError: 'pump'"),
        (TypeError("broken pump"), TransferTypeError, "[0]: broken pump"),
        (AttributeError(), TransferAttributeError, "[0]: AttributeError: "),
        (pickle.PicklingError("broken pump"), TransferError, "[0]: broken pump"),
        (EOFError(), TransferError, "[0]: EOFError: "),
    ],
)
def test_an_error_of_the_values_own_code_is_shown(error: Exception, kind: type, text: str) -> None:
    with pytest.raises(kind) as caught:
        dumps([Bad(error)])
    assert (str(caught.value), caught.value.__cause__) == (text, error)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("wrong moment"), NotImplementedError(), OSError(24, "many"), MemoryError()],
)
def test_what_is_not_about_the_value_comes_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        dumps([Bad(error)])
    assert caught.value is error


def test_objects_of_the_stdlib_say_what_they_always_say() -> None:
    with pytest.raises(RuntimeError, match="should only be shared between processes through inheritance"):
        dumps([multiprocessing.get_context("fork").Lock()])
    with pytest.raises(RuntimeError) as caught:
        dumps(Box(rows=[multiprocessing.get_context("fork").Lock()]), label="item")
    assert caught.value.__notes__ == ["This was raised when item.rows[0] was pickled."]
    with (
        multiprocessing.pool.ThreadPool(1) as pool,
        pytest.raises(NotImplementedError, match="pool objects cannot be passed"),
    ):
        dumps(pool)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_wish_to_stop_passes_through(stop: type[BaseException]) -> None:
    with pytest.raises(stop):
        dumps([Bad(stop())])
    assert copy([Box(a=1)]) == [Box(a=1)]


def test_a_value_nested_too_deeply() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, [lambda: 1, deep]):
        with pytest.raises(TransferError, match="recursion"):
            dumps(value)
    with pytest.raises(TransferRecursionError):
        dumps(deep)


def test_the_search_for_the_part_ends() -> None:
    ring = [Box() for _ in range(2000)]
    for box in ring:
        box.rest = ring  # type: ignore[attr-defined]
    ring[-1].lock = LOCK  # type: ignore[attr-defined]
    with pytest.raises(TransferTypeError) as caught:
        dumps(ring[0])
    assert caught.value.path == "rest[1999].lock"


def test_a_representation_that_fails_does_not_hide_the_error() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise ValueError

    with pytest.raises(TransferTypeError, match="cannot pickle"):
        dumps({Mute(): LOCK, "x": Bad(TypeError())})
