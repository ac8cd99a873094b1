"""dumps and loads in one process: what travels, by which reducers."""

import array
import copyreg
import decimal
import functools
import multiprocessing
import multiprocessing.context
import multiprocessing.pool
import multiprocessing.reduction
import multiprocessing.resource_sharer
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procession import reduction
from procession.errors import (
    TransferTypeError,
)
from procession.reduction import dumps, loads
from tests.kit import run_python
from tests.samples import Box, copy

# ---- round trips ---------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
hashables = scalars | st.tuples(scalars, scalars) | st.frozensets(scalars, max_size=3)
values = st.recursive(
    scalars | st.fractions() | st.complex_numbers(allow_nan=False) | st.builds(bytearray, st.binary()),
    lambda inner: (
        st.lists(inner, max_size=12)
        | st.lists(inner, max_size=12).map(tuple)
        | st.dictionaries(hashables, inner, max_size=4)
        | st.sets(hashables, max_size=4)
        | st.builds(Box, a=inner, b=inner)
    ),
    max_leaves=30,
)


@given(values)
def test_what_is_dumped_is_loaded(value: Any) -> None:
    assert copy(value) == value
    assert type(copy(value)) is type(value)


@given(values, st.integers(0, 5))
def test_a_function_carries_what_it_closes_over(value: Any, default: int) -> None:
    def function(extra: int = default) -> tuple[Any, int]:
        return value, extra

    assert copy(function)() == (value, default)
    assert copy([function, value])[1] == value


@given(values)
def test_plain_pickle_reads_and_writes_the_same(value: Any) -> None:
    assert pickle.loads(dumps(value)) == value
    assert loads(pickle.dumps(value)) == value
    assert multiprocessing.reduction.ForkingPickler.loads(dumps((value, Box.method)))[0] == value


@pytest.mark.parametrize("size", [0, 1, 250, 1 << 16, (1 << 18) - 9, 1 << 18, 5_000_000])
@pytest.mark.parametrize("kind", [bytes, bytearray, lambda size: array.array("b", bytes(size))])
def test_buffers_of_every_size(kind: Callable[[int], Any], size: int) -> None:
    assert copy([kind(size), 3, kind(size)]) == [kind(size), 3, kind(size)]


def test_a_message_of_more_than_four_gigabytes() -> None:
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if available < 7 << 30:
        pytest.skip(f"needs 7 GiB of memory; {available >> 30} are free")
    size = (1 << 32) + 5
    data = dumps([bytes(size), "end"])
    # Not loaded, which would take as long again: the length is there in eight bytes, and the end.
    assert pickle.BINBYTES8 + size.to_bytes(8, "little") in data[:64]
    assert data[-64:].endswith(b"\x03end\x94e.")
    assert size < len(data) < size + 100


def test_a_cycle_and_shared_parts_stay_what_they_are() -> None:
    def function() -> Any:
        return loop

    loop: list[Any] = [function]
    loop.append(loop)
    made = copy(loop)
    assert made[1] is made
    assert made[0]() is made


# ---- reducers ------------------------------------------------------------------------------


@pytest.fixture
def clean_tables() -> Iterator[None]:
    tables = (multiprocessing.reduction.ForkingPickler._extra_reducers, copyreg.dispatch_table)
    before = [dict(table) for table in tables]
    yield
    for table, contents in zip(tables, before, strict=True):
        table.clear()
        table.update(contents)


@pytest.mark.usefixtures("clean_tables")
@pytest.mark.parametrize("register", [reduction.register, copyreg.pickle])
@pytest.mark.parametrize("companion", [1, lambda: 1], ids=["plain", "by value"])
def test_reducers_are_honoured_whenever_they_are_registered(register: Any, companion: Any) -> None:
    assert copy([Box(a=1), companion])[0] == Box(a=1)
    register(Box, lambda box: (str, ("first",)))
    assert copy([Box(a=1), companion])[0] == "first"
    register(Box, lambda box: (str, ("second",)))
    assert copy([Box(a=1), companion])[0] == "second"


def test_forking_pickler_stays_the_stdlibs() -> None:
    assert reduction.ForkingPickler is multiprocessing.reduction.ForkingPickler
    with pytest.raises((AttributeError, pickle.PicklingError)):
        reduction.ForkingPickler.dumps(lambda: 1)
    for name in dir(multiprocessing.reduction):
        if not name.startswith("__"):
            assert hasattr(reduction, name), name


def test_methods_of_every_kind() -> None:
    box = Box(a=1)
    assert copy(box.method)() == box
    assert copy(box.private_method())() == "found"
    assert copy([].append).__name__ == "append"
    box.given = lambda self=None: "given"  # type: ignore[attr-defined]
    assert copy(box.given)() == "given"  # type: ignore[attr-defined]
    by_lambda = type("ByLambda", (), {"call": lambda self: 7})()
    assert copy(by_lambda.call)() == 7
    assert copy(functools.partial(Box(a=1).method))() == Box(a=1)
    assert copy(decimal.Decimal.from_float)(0.5) == decimal.Decimal("0.5")


def test_a_nested_dumps_disturbs_nothing() -> None:
    class Nested:
        def __reduce__(self) -> Any:
            return loads, (dumps({"inner": [1, 2, Box(a=3)]}),)

    assert copy([Nested(), 1, Nested()]) == [{"inner": [1, 2, Box(a=3)]}, 1, {"inner": [1, 2, Box(a=3)]}]


def test_threads_dump_at_the_same_time() -> None:
    wrong = []

    def work(number: int) -> None:
        for count in range(300):
            value = {"n": number, "box": Box(a=[count] * (count % 7)), "f": str}
            if copy(value) != value:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_text_file_is_refused_but_the_standard_streams_are_not(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+") as file, pytest.raises(TransferTypeError, match="TextIOWrapper"):
        dumps([file])
    code = "import sys; from procession.reduction import *; assert loads(dumps(sys.stderr)) is sys.stderr"
    run_python("-c", code).check()


def test_the_slow_import_happens_only_where_it_is_needed() -> None:
    code = (
        "import sys, fractions; from procession.reduction import *\n"
        "loads(dumps([1, {'a': fractions.Fraction(1, 3)}, fractions.Fraction, 'x' * 100]))\n"
        "assert 'cloudpickle' not in sys.modules and 'ast' not in sys.modules\n"
        "dumps(lambda: 1)\n"
        "assert 'cloudpickle' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
