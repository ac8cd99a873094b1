"""How a spawned child begins; the other names of the stdlib's module are here too."""

from __future__ import annotations

import sys
from multiprocessing import spawn as _std

from . import _alias
from .start import child

TYPE_CHECKING = False  # not typing's: to import that takes a tenth of what importing all of this does
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = [*_std.__all__, "spawn_main"]  # noqa: PLE0604


def spawn_main(**given: int) -> NoReturn:
    """Run the process that a parent describes, and exit: the entry of `start.spawned`."""
    assert _std.is_forking(sys.argv), "spawn_main is for children that procession starts"
    child.tidy_main("spawn_main")
    from .start import spawned

    spawned.main(**given)


def freeze_support() -> None:
    """In a frozen program: if it was started as a child or as the fork server, be that and exit."""
    if _std.is_forking(sys.argv):
        given = {name: int(value) for name, value in (word.split("=") for word in sys.argv[2:])}
        if "serial" in given:
            spawn_main(**given)
        from .forkserver import main

        main(**given)


_alias.mirror(__name__, _std)
