"""Modules whose names, or all names but a few, are those of a module of the stdlib."""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False  # not typing's: to import that takes a tenth of what importing all of this does
if TYPE_CHECKING:
    from typing import Any


def become(name: str, original: ModuleType) -> None:
    """Importing module `name` gives the stdlib's from now on: its state is one, for both names.

    Called by the module itself, last.
    """
    sys.modules[name] = original


def mirror(name: str, original: ModuleType) -> None:
    """Show the stdlib's names in module `name` too, beside its own, as they are at any moment.

    Setting one of them sets it in the stdlib's module: the patches of tracers and tests must
    reach the code that looks there.  Called by the module itself, last.
    """
    module = sys.modules[name]
    vars(module)["_mirrored"] = original
    module.__class__ = Mirror


class Mirror(ModuleType):
    """A module with names of its own, and those of another."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(vars(self)["_mirrored"], name)

    def __setattr__(self, name: str, value: object) -> None:
        if name in vars(self):
            super().__setattr__(name, value)
        else:
            setattr(vars(self)["_mirrored"], name, value)

    def __delattr__(self, name: str) -> None:
        if name in vars(self):
            super().__delattr__(name)
        else:
            delattr(vars(self)["_mirrored"], name)

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *dir(vars(self)["_mirrored"])} - {"_mirrored"})
