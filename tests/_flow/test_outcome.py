"""Results and errors packed and opened: whatever they are, something comes out."""

import pickle
from multiprocessing.pool import MaybeEncodingError, RemoteTraceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procession._flow.outcome import open_packed, pack, pack_error, unpack_error
from procession.errors import TransferError
from tests.pools import BreaksWhenLoaded, UnbuildableError, Unpicklable, UnpicklableError, raise_chained

scalars = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)


def there_and_back(results: list[Any], errors: dict[int, BaseException]) -> Any:
    kind, payload = pack(results[:], errors, [])
    return open_packed(kind, memoryview(payload), len(results))


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=10), st.sets(st.integers(0, 9)))
def test_any_mixture_arrives(results: list[Any], failing: set[int]) -> None:
    errors: dict[int, BaseException] = {i: KeyError(i) for i in failing if i < len(results)}
    for number in errors:
        results[number] = None
    found, found_errors = there_and_back(results, errors)
    assert list(found) == results
    assert {i: (type(error), error.args) for i, error in found_errors.items()} == {
        i: (KeyError, (i,)) for i in errors
    }


@pytest.mark.parametrize("neighbours", [[], [1, "x"], [[1], {"a": 2}]])
def test_one_that_cannot_travel_spoils_no_other(neighbours: list[Any]) -> None:
    found, errors = there_and_back([*neighbours, Unpicklable(), *neighbours], {})
    assert list(found) == [*neighbours, None, *neighbours]
    assert list(errors) == [len(neighbours)]
    error = errors[len(neighbours)]
    assert isinstance(error, MaybeEncodingError)
    assert "not for travelling" in error.exc


def test_one_that_cannot_be_rebuilt_spoils_no_other() -> None:
    found, errors = there_and_back([1, BreaksWhenLoaded(), [2]], {})
    assert list(found) == [1, None, [2]]
    assert isinstance(errors[1], TransferError)
    assert isinstance(errors[1].__cause__, ValueError)


class OutOfMemory:
    def __reduce__(self) -> Any:
        raise MemoryError("deliberate")


def test_want_of_memory_is_told_as_that() -> None:
    found, errors = there_and_back([1, OutOfMemory(), [2]], {})
    assert list(found) == [1, None, [2]]
    assert (type(errors[1]), errors[1].args) == (MemoryError, ("deliberate",))


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001 - any kind
        return caught


def test_errors_keep_the_text_of_their_traceback() -> None:
    try:
        raise_chained()
    except ValueError as error:
        found = unpack_error(pack_error(error, []))
    assert type(found) is ValueError
    assert found.args == ("the effect",)
    cause = found.__cause__
    assert isinstance(cause, RemoteTraceback)
    assert str(cause).startswith('\n"""\nTraceback')
    assert "the direct cause of" in str(cause)


@pytest.mark.parametrize("error", [UnbuildableError(1, 2), UnpicklableError("its text")])
def test_errors_that_cannot_travel_are_told(error: BaseException) -> None:
    found = unpack_error(pack_error(raised(error), []))
    assert isinstance(found, MaybeEncodingError)
    assert type(error).__name__ in found.value
    assert "cannot travel" in str(found.__cause__)
    assert "in raised" in str(found.__cause__)


def test_an_error_that_is_unknown_here_is_told() -> None:
    _, text = pack_error(raised(KeyError("x")), [])
    found = unpack_error((pickle.dumps(BreaksWhenLoaded()), text))
    assert isinstance(found, TransferError)
    assert "KeyError" in str(found.__cause__)


class WithoutRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __reduce__(self) -> Any:
        raise SystemExit("not for travelling")


def test_the_worst_of_values() -> None:
    found, errors = there_and_back([WithoutRepr()], {})
    assert list(found) == [None]
    assert isinstance(errors[0], MaybeEncodingError)
    assert "WithoutRepr" in errors[0].value


def test_a_lambda_as_result_is_refused_as_in_the_stdlib() -> None:
    _, errors = there_and_back([lambda: 42], {})
    assert isinstance(errors[0], MaybeEncodingError)
    found, errors = there_and_back([len, [lambda: 42]], {})
    assert found[0] is len
    assert found[1][0]() == 42
    assert errors == {}
