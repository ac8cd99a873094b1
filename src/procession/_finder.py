"""How ``import multiprocessing.pool`` comes to give procession's module, and how the stdlib's is found.

Asked by the import system once the public name has been given away: see :mod:`procession._install`.
Only what the stdlib has is found under the public name, so that procession's own rooms do not
appear there a second time.  And where a room of procession says ``from multiprocessing import
queues`` it means the stdlib's, also when it is imported as late as that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.machinery import PathFinder
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from . import _stdlib

if TYPE_CHECKING:
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
else:
    Loader = object

_OURS = __name__.partition(".")[0]


class Finder:
    """Finds the modules of the package that programs know, and both packages' for procession.

    `after`: what to do with modules of procession, by full name, once they have been imported.
    """

    def __init__(self, after: Mapping[str, Callable[[ModuleType], None]]) -> None:
        self._after = after

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """ModuleNotFoundError for a part of the public package that the stdlib does not have."""
        name = _within(_stdlib.PUBLIC, fullname)
        if name is not None:
            return _stdlib.Spec(fullname, _stdlib.Alias(_counterpart(name)))
        name = _within(_stdlib.__name__, fullname)
        if name is not None:
            original = _find(_stdlib.PUBLIC, name)
            return original and _under(fullname, original)
        name = _within(_OURS, fullname)
        ours = _find(_OURS, name) if name else None
        if ours is not None:
            ours.loader = _Room(ours.loader, self._after.get(fullname))
        return ours


def _within(package: str, fullname: str) -> str | None:
    """The part after the package's name, "" for the package itself; None if it is another's."""
    if fullname == package:
        return ""
    return fullname[len(package) + 1 :] if fullname.startswith(f"{package}.") else None


def _counterpart(name: str) -> str:
    """Full name of what stands for the stdlib's module: ours, or itself where there is none."""
    if not name:
        return _OURS
    if _find(_stdlib.PUBLIC, name) is None:
        fullname = f"{_stdlib.PUBLIC}.{name}"
        raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
    return f"{_OURS if is_ours(name) else _stdlib.__name__}.{name}"


def is_ours(name: str) -> bool:
    """Has procession a module of that name, "" for the package?"""
    return not name or _find(_OURS, name) is not None


def attribute(name: str) -> Any:
    """Of procession: a module nobody has imported yet, or what only the stdlib's package has.

    Raises AttributeError if it is neither.
    """
    if not name.startswith("_"):
        if _find(_stdlib.PUBLIC, name) and is_ours(name):
            return import_module(f"{_OURS}.{name}")
        if hasattr(_stdlib, name):
            return getattr(_stdlib, name)
    raise AttributeError(f"module {_OURS!r} has no attribute {name!r}")


def _find(package: str, name: str) -> ModuleSpec | None:
    """The package's module "pool" or "dummy.connection", by the place where it lies.

    Not by whatever else is on ``sys.meta_path``: the finders of tracers and import hooks ask all
    others about the name, and so would come back to ours.
    """
    places = _stdlib.places() if package == _stdlib.PUBLIC else sys.modules[package].__path__
    *parents, _ = name.split(".")
    path = [os.path.join(place, *parents) for place in places]
    if getattr(sys, "frozen", False):
        return _find_frozen(f"{package}.{name}", path)
    return PathFinder.find_spec(f"{package}.{name}", path)


def _find_frozen(fullname: str, path: list[str]) -> ModuleSpec | None:
    """In a program that was made one with its modules: its maker's finder may know no places."""
    for finder in sys.meta_path:
        if not isinstance(finder, Finder):
            spec = finder.find_spec(fullname, path)
            if spec is not None:
                return spec
    return None


def _under(fullname: str, original: ModuleSpec) -> ModuleSpec:
    spec = _stdlib.renamed(original, fullname)
    spec.loader = _Original(original)
    return spec


class _Original(Loader):
    """Loads a module of the stdlib: its package is procession's name for it, its own name is kept."""

    def __init__(self, spec: ModuleSpec) -> None:
        self._spec = spec

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        loader = self._spec.loader
        assert loader is not None
        module.__name__, module.__loader__ = self._spec.name, loader
        loader.exec_module(module)
        _stdlib.add(self._spec.name, module)


class _Room(Loader):
    """Loads a module of procession, in which ``from multiprocessing import ...`` means the stdlib's."""

    def __init__(self, loader: Any, after: Callable[[ModuleType], None] | None) -> None:
        self._loader = loader
        self._after = after

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self._loader
        code = self._loader.get_code(module.__name__)
        if code is None:
            self._loader.exec_module(module)
        else:
            exec(_meant(code), vars(module))
        name = _within(_OURS, module.__name__)
        original = sys.modules.get(f"{_stdlib.__name__}.{name}")
        if original is not None:
            _stdlib.hide(original, sys.modules[module.__name__])
        if self._after is not None:
            self._after(module)


def _meant(code: CodeType) -> CodeType:
    """The same code with the stdlib's modules imported by the name that they have now.

    Not by an ``__import__`` of its own among the built-in names, which users' code would inherit
    wherever a room runs or rebuilds it.
    """
    names = [_private(name) for name in code.co_names]
    constants = [_meant(value) if isinstance(value, CodeType) else value for value in code.co_consts]
    return code.replace(co_names=tuple(names), co_consts=tuple(constants))


def _private(name: str) -> str:
    within = _within(_stdlib.PUBLIC, name)
    return name if within is None else f"{_stdlib.__name__}.{within}".rstrip(".")
