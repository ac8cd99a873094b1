"""Results and errors of tasks in bytes: packed in the worker, opened by who waits.

Whatever a task returns or raises, an answer about it arrives.  What cannot be pickled, and an error
that cannot be rebuilt, is replaced in the worker by an error that says so and holds the traceback;
what cannot be rebuilt on this side becomes an error when it is opened.  Nothing here raises but for
want of memory, and what signal handlers raise while something is rebuilt: that is for whoever asked,
who may ask again.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from multiprocessing.pool import MaybeEncodingError, RemoteTraceback  # type: ignore[attr-defined]
from types import FunctionType
from typing import Any

from .._buffers import Draft, load_again
from .._handlers import raised_by_handler
from .._main import MAIN_NAMES
from ..errors import TransferError
from ..reduction import draft, dumps, loads, travels
from .channel import ODD, RESULTS, Opened, Taken

__all__ = ["MANY", "MIXED", "ONE", "SCALARS", "open_packed", "pack", "pack_error", "unpack_error"]

MANY = RESULTS
"""Kind of an answer: a list of results that need no reducer, pickled at once."""
ONE = ODD + 1
"""One result."""
MIXED = ODD + 2
"""A list with an entry for each result: its pickle, or for an error what `pack_error` gives."""

SCALARS = frozenset({int, float, bool, str, bytes, type(None)})
"""Types that pickle by C alone, whatever is registered for them."""

PROTOCOL = pickle.HIGHEST_PROTOCOL

PackedError = tuple[bytes, str]
"""The pickle of an error, and the worker's traceback as text."""


def pack(values: list[Any], errors: dict[int, BaseException], carry: list[Any]) -> tuple[int, bytes]:
    """(kind, bytes) of results; shared objects among them are appended to `carry`.

    Each result that is more than a scalar is pickled by itself, so that one which cannot travel, or
    not be rebuilt, spoils no other.  `values` is emptied: what was received and is nobody's any more by
    then goes back as it is.
    """
    if not errors and SCALARS.issuperset(map(type, values)):
        return MANY, pickle.dumps(values, PROTOCOL)
    drafts = [
        pack_error(errors[number], carry) if number in errors else _draft(value, carry)
        for number, value in enumerate(values)
    ]
    values.clear()
    entries = [_seal(entry, carry) for entry in drafts]
    if len(entries) == 1 and type(entries[0]) is bytes:
        return ONE, entries[0]
    return MIXED, pickle.dumps(entries, PROTOCOL)


def open_packed(kind: int, payload: Any, count: int, taken: Taken | None = None) -> Opened:
    """What `pack` packed, whatever stands behind it; `taken` as for `Channel.open`."""
    if kind == MANY:
        return loads(payload), {}
    values: list[Any] = [None] * count
    errors: dict[int, BaseException] = {}
    for number, entry in enumerate([payload] if kind == ONE else loads(payload)):
        if type(entry) is tuple:
            errors[number] = unpack_error(entry, partial(_load, taken, number))
            continue
        try:
            values[number] = _load(taken, number, entry)
        except BaseException as error:
            # Somebody else's code, and its error is the result.
            if _is_ours(error):
                raise
            errors[number] = _unbuildable("the result of a task", error)
    return values, errors


def _is_ours(error: BaseException) -> bool:
    """Is it meant for who opens the answer?  Ctrl-C is."""
    return isinstance(error, KeyboardInterrupt) or raised_by_handler(error)


def _load(taken: Taken | None, number: int, data: Any) -> Any:
    return loads(data) if taken is None else load_again(data, taken.setdefault(number, []))


def pack_error(error: BaseException, carry: list[Any]) -> PackedError:
    """An error as it will be rebuilt, or else one that tells its class and text and why it is not."""
    text = traceback_of(error)
    try:
        travels(error)
        return dumps(error, carry), text
    except BaseException as reason:  # noqa: BLE001 - somebody else's code, and its error is told
        text = f"{text}\nThe error itself cannot travel:\n{_chain(reason)}"
        return dumps(_encoding_error(reason, error)), text


def unpack_error(packed: PackedError, load: Callable[[Any], BaseException] = loads) -> BaseException:
    """The error, with the worker's traceback as its cause, as the stdlib has it."""
    data, text = packed
    try:
        error = load(data)
    except BaseException as reason:
        # Somebody else's code, and its error is told.
        if _is_ours(reason):
            raise
        error = _unbuildable("the error that a task raised", reason)
        text = f"{text}\nIt cannot be rebuilt here:\n{_chain(reason)}"
    error.__cause__ = RemoteTraceback(f'\n"""\n{text}"""')
    return error


def traceback_of(error: BaseException) -> str:
    """As the interpreter prints it, without the frames of this package's loop."""
    import traceback

    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__package__") == __package__:
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))


def _draft(value: Any, carry: list[Any]) -> bytes | Draft | PackedError:
    carried = len(carry)
    try:
        if type(value) is FunctionType and value.__module__ not in MAIN_NAMES:
            # As in the stdlib, whose suite wants it so: by its name or not at all.
            return pickle.dumps(value, PROTOCOL)
        return draft(value, carry, label="result")
    except MemoryError as error:
        del carry[carried:]
        return pack_error(error, carry)
    except BaseException as reason:  # noqa: BLE001 - somebody else's code, and its error is told
        del carry[carried:]
        return dumps(_encoding_error(reason, value)), _chain(reason)


def _seal(entry: bytes | Draft | PackedError, carry: list[Any]) -> bytes | PackedError:
    if type(entry) is not Draft:
        return entry  # type: ignore[return-value]
    try:
        return entry.seal(carry)
    except Exception as error:  # noqa: BLE001 - no memory; get() raises it
        error.add_note("This was raised when result was pickled.")
        return pack_error(error, carry)


def _encoding_error(reason: BaseException, value: Any) -> MaybeEncodingError:
    try:
        return MaybeEncodingError(reason, value)
    except Exception:  # noqa: BLE001 - a broken __repr__ must not hide the error
        return MaybeEncodingError(type(reason), type(value))


def _unbuildable(what: str, reason: BaseException) -> BaseException:
    error = TransferError(f"{what} arrived but cannot be rebuilt: {type(reason).__qualname__}: {reason}")
    error.__cause__ = reason
    return error


def _chain(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error))
