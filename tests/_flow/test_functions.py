"""What messages say of functions, and what workers remember of them."""

import math
import sys
import types
from functools import partial
from typing import Any

import pytest

from procession import _family
from procession._flow import functions
from procession._flow.functions import BY_NAME, ONCE, Repertoire, Shelf
from tests.pools import Counting, square


@pytest.fixture
def module() -> Any:
    """A module of which functions can be taken and given other names."""
    made = types.ModuleType("made_for_a_test")
    exec("def work(x): return x + 1", vars(made))
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[made.__name__]


@pytest.mark.parametrize("function", [square, math.sqrt, len, int, Counting])
def test_functions_with_a_name_go_by_it(function: Any) -> None:
    shelf, repertoire = Shelf(), Repertoire()
    wire = shelf.wire(function, once=False)
    assert wire.key == BY_NAME
    assert shelf.wire(function, once=True) is wire
    assert repertoire.function(wire.key, wire.text) is function


@pytest.mark.parametrize(
    "function", [lambda x: x, partial(square, 3), Counting().method, Counting(), [].append]
)
def test_others_go_by_value(function: Any) -> None:
    shelf, repertoire = Shelf(), Repertoire()
    once = shelf.wire(function, once=True)
    assert once.key == ONCE
    assert repertoire.function(once.key, once.text) is not repertoire.function(once.key, once.text)
    first, second = shelf.wire(function, once=False), shelf.wire(function, once=False)
    assert len({ONCE, BY_NAME, first.key, second.key}) == 4
    built = repertoire.function(first.key, first.text)
    assert repertoire.function(first.key, first.text) is built
    assert repertoire.function(second.key, second.text) is not built


def test_a_name_that_was_given_to_another(module: Any) -> None:
    shelf = Shelf()
    work = module.work
    assert shelf.wire(work, once=False).key == BY_NAME
    exec("def work(x): return x + 2", vars(module))
    assert shelf.wire(module.work, once=False).key == BY_NAME
    assert shelf.wire(work, once=False).key != BY_NAME


def test_large_ones_lie_in_a_block() -> None:
    shelf, repertoire = Shelf(), Repertoire()
    wire = shelf.wire(Counting(bytes(100_000)), once=False)
    assert isinstance(wire.text, _family.Block)
    assert wire.carry == (wire.text,)
    function: Any = repertoire.function(wire.key, wire.text)
    assert function.ballast == bytes(100_000)
    assert isinstance(shelf.wire(Counting(bytes(100_000)), once=True).text, bytes)


def test_what_functions_carry_goes_along() -> None:
    block = _family.Block(10)
    wire = Shelf().wire(partial(square, block), once=False)
    assert wire.carry == (block,)


def test_memory_is_bounded(module: Any) -> None:
    shelf, repertoire = Shelf(), Repertoire()
    for number in range(3 * functions.REMEMBERED):
        exec(f"def f{number}(x): return x", vars(module))
        wire = shelf.wire(getattr(module, f"f{number}"), once=False)
        repertoire.function(wire.key, wire.text)
    assert len(shelf._named) <= functions.REMEMBERED
    assert len(repertoire._named) <= functions.REMEMBERED
    for number in range(20):
        wire = shelf.wire(partial(square, number), once=False)
        repertoire.function(wire.key, wire.text)
    assert len(repertoire._kept) <= functions.KEPT
