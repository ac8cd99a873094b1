"""The stdlib's multiprocessing in a program where that name leads to procession.

The stdlib's modules stay in memory for the state that both packages have in common.  Before the
public name is given away (:mod:`procession._install`), `move` makes this module their package: what
they import from one another, now or later, they find here.  They keep their ``__name__``, so that
what they define is pickled and shown as ever; `hide` makes an exception for what procession has
its own of.

Rooms of procession go on to say ``from multiprocessing import queues as _std`` when they mean the
stdlib's: :mod:`procession._finder` leads them here.

Where the public name is the stdlib's, this package is another way to it: programs that others start
by means of their own (loky its workers) are no children of ours, and get what was hidden.
"""

from __future__ import annotations

import multiprocessing as package
import sys
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
else:
    Loader = object

PUBLIC = "multiprocessing"
"""The name by which programs know the package."""

# A package, for the import system; where its modules are, finders of ours alone know.
__path__: list[str] = []

_home = PUBLIC


def __getattr__(name: str) -> Any:
    """A name of the stdlib's package, or a module of it, which is imported if it has to be."""
    if not hasattr(package, name):
        try:
            import_module(f"{_home}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{_home}.{name}":
                raise
            raise AttributeError(f"module {PUBLIC!r} has no attribute {name!r}") from None
    return getattr(package, name)


def moved() -> bool:
    """Has the public name been given away?"""
    return _home != PUBLIC


def loaded() -> dict[str, ModuleType]:
    """The stdlib's modules that are in memory, by their names within the package; "" is the package.

    To be called before `move`.
    """
    names = [name for name in sys.modules if name == PUBLIC or name.startswith(f"{PUBLIC}.")]
    return {name[len(PUBLIC) + 1 :]: sys.modules[name] for name in names}


def move() -> None:
    """Let the stdlib's modules find one another by the name of this module; once."""
    global _home
    for name, module in loaded().items():
        alias = f"{__name__}.{name}".rstrip(".")
        assert module.__spec__ is not None
        module.__spec__ = renamed(module.__spec__, alias)
        # Until 3.15 this says which package relative imports start from, and then the other.
        module.__package__ = module.__spec__.parent
        if name:
            sys.modules[alias] = module
    _home = __name__


def renamed(spec: ModuleSpec, name: str) -> ModuleSpec:
    """The same place under another name."""
    same = type(spec)(name, spec.loader)
    vars(same).update(vars(spec), name=name)
    return same


def places() -> list[str]:
    """The folders of the stdlib's package."""
    return list(package.__path__)


def add(fullname: str, module: ModuleType) -> None:
    """A module of the stdlib has been imported: let those find it who hold its package itself."""
    parent, _, name = fullname.rpartition(".")
    holder = package if parent == PUBLIC else sys.modules[parent.replace(PUBLIC, __name__, 1)]
    setattr(holder, name, module)


def hide(original: ModuleType, module: ModuleType) -> None:
    """Have what `module` replaces of the stdlib's `original` pickled by the name of this package.

    By the public name a reader would find the replacement, and pickle refuses that.
    """
    for name, thing in _definitions(original):
        if getattr(module, name, thing) is not thing:
            thing.__module__ = f"{__name__}.{original.__name__[len(PUBLIC) + 1 :]}"


def _definitions(module: ModuleType) -> Iterator[tuple[str, Any]]:
    for name, thing in list(vars(module).items()):
        if isinstance(thing, type | FunctionType) and thing.__module__ == module.__name__:
            yield name, thing


# ---- the import system ---------------------------------------------------------------------


class Alias(Loader):
    """Gives a module that has a name of its own."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        import_module(self._name)
        # Not what that gave: a module that puts another in its place may still be given to other threads.
        module = sys.modules[self._name]
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just given it ours.
        module.__spec__ = self._spec


class _Unmoved:
    """Finds the stdlib's modules under this package's name as long as they have the public one."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if moved() or not fullname.startswith(f"{__name__}."):
            return None
        return Spec(fullname, Alias(fullname.replace(__name__, PUBLIC, 1)))


Spec = type(sys.__spec__)  # not worth an import of importlib.machinery
sys.meta_path.append(_Unmoved())
