"""The public name `multiprocessing`, taken for procession: the work of the launcher and of `install`.

What a program gets under that name is then this package, module by module as it asks for them
(:mod:`procession._finder`).  The stdlib's modules have another name by then
(:mod:`procession._stdlib`) and start their processes as procession does, for the sake of those
who still hold some of them.  A child is as its parent: see :mod:`procession.start.command`.
"""

from __future__ import annotations

import sys
import threading
from copy import copy
from functools import cached_property
from importlib import import_module
from multiprocessing import context as _std
from types import ModuleType
from typing import Any

from . import _finder, _rebind, _stdlib, context

_OURS = __name__.partition(".")[0]
_lock = threading.Lock()


def install() -> None:
    """Give procession to all who import multiprocessing, in this process and those it starts.

    The best place is before all other imports.  Names of the stdlib's that the top level of other
    modules has bound by then lead to procession, too; objects that exist stay as they are.
    The default start method becomes that of the running interpreter, unless one has been chosen.
    Only the first call does anything.
    """
    with _lock:
        if not _stdlib.moved():
            _install()


def _install() -> None:
    # Found while the stdlib's modules still have the public name.
    found = {original: _counterpart(name, original) for name, original in _stdlib.loaded().items()}
    pairs = {old: new for old, new in found.items() if old is not new}
    _stdlib.move()
    sys.meta_path.insert(0, _finder.Finder(_AFTERWARDS))
    for original, ours in pairs.items():
        sys.modules[original.__name__] = ours
    _rebind.rebind(pairs)
    _rebind.rebase(pairs)
    for original, ours in pairs.items():
        _stdlib.hide(original, ours)
    _unite_contexts()
    for name, do in _AFTERWARDS.items():
        if name in sys.modules:
            do(sys.modules[name])
    _restart_fork_server()


def _counterpart(name: str, original: ModuleType) -> ModuleType:
    return import_module(f"{_OURS}.{name}".rstrip(".")) if _finder.is_ours(name) else original


# ---- what else changes, once the module is there --------------------------------------------


def _make_connections_ours(module: Any) -> None:
    """Let the stdlib's machinery make the connections that libraries know, and have reducers for."""
    theirs: Any = sys.modules[f"{_stdlib.__name__}.connection"]
    theirs.Connection = module.Connection


_AFTERWARDS = {f"{_OURS}.connection": _make_connections_ours}


# ---- one way to start processes ------------------------------------------------------------


class _DefaultContext(_std.DefaultContext):
    """The stdlib's default context; which start method is chosen, it asks procession's."""

    @property
    def _default_context(self) -> Any:
        return context._default_context._default_context

    @property
    def _actual_context(self) -> Any:
        return context._default_context._settled()

    @_actual_context.setter
    def _actual_context(self, value: Any) -> None:
        context._default_context._actual_context = value


class _OurDefaultContext(context.DefaultContext):
    """Procession's; which start method is the interpreter's own, it asks when it has to know.

    From 3.14 on the stdlib finds that out no sooner, since it imports much.
    """

    # It stays what it was to who asks it, and to the methods that programs have bound.
    __module__ = context.__name__
    _platform: Any

    @cached_property
    def _default_context(self) -> context.BaseContext:  # type: ignore[override]
        return context._concrete_contexts[self._platform._default_context._name]


def _unite_contexts() -> None:
    theirs: Any = _std._default_context
    ours: Any = context._default_context
    concrete = context._concrete_contexts
    ours._platform = copy(theirs)
    ours.__class__ = _OurDefaultContext
    del ours._default_context
    if ours._settled() is None and theirs._actual_context is not None:
        ours._actual_context = concrete.get(theirs._actual_context._name, theirs._actual_context)
    theirs.__class__ = _DefaultContext
    for name, replacement in concrete.items():
        _replace(_std._concrete_contexts, name, replacement)  # type: ignore[attr-defined]


def _replace(table: dict[str, Any], name: str, ours: Any) -> None:
    theirs = table[name]
    theirs.Process._Popen = staticmethod(ours.Process._Popen)
    # Somebody may have got it by get_context already.
    theirs.__class__ = type(ours)
    table[name] = ours


def _restart_fork_server() -> None:
    """The children of one that runs would get the stdlib's multiprocessing."""
    link = sys.modules.get(f"{_OURS}.start.serverlink")
    if link is not None:
        link.stop()
