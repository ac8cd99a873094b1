"""Objects to bytes and back, and handles (descriptors) from process to process.

`dumps`, `loads` and `travels` are what queues, pools, process arguments and connections use.
All else here is the stdlib's: ForkingPickler stays as strict as it is there, since programs ask
it what can travel, and the reducers registered with it are honoured by `dumps`.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from multiprocessing import reduction as _std
from multiprocessing.reduction import *  # noqa: F403
from multiprocessing.reduction import ForkingPickler
from typing import Any

__all__ = [*_std.__all__, "dumps", "loads", "travels"]

loads = pickle.loads


def dumps(obj: object, carry: list[Any] | None = None) -> bytes:
    """The pickle of `obj`."""
    table = {**copyreg.dispatch_table, **ForkingPickler._extra_reducers}
    if carry is not None:
        from . import _family

        with _family.carrying(carry):
            return _dumps(obj, table)
    return _dumps(obj, table)


def _dumps(obj: object, table: dict[Any, Any]) -> bytes:
    try:
        file = io.BytesIO()
        pickler = pickle.Pickler(file, pickle.HIGHEST_PROTOCOL)
        pickler.dispatch_table = table
        pickler.dump(obj)
        data = file.getvalue()
    except (TypeError, AttributeError, pickle.PicklingError):
        data = b"__main__"
    if b"__main__" in data or b"__mp_main__" in data:
        import cloudpickle

        file = io.BytesIO()
        pickler = cloudpickle.Pickler(file)
        pickler.dispatch_table = {**pickler.dispatch_table, **table}
        pickler.dump(obj)
        data = file.getvalue()
    return data


def travels(obj: object) -> bytes:
    """`dumps`, and a proof that `loads` can rebuild it."""
    data = dumps(obj)
    loads(data)
    return data


def __getattr__(name: str) -> Any:
    return getattr(_std, name)
