"""A child of spawn: a new interpreter, whose first line calls `main`."""

from __future__ import annotations

import gc
import os
import sys
from multiprocessing import resource_tracker

from .. import _family
from .. import _private as private
from . import child, lifeline
from .reports import Reporter

TYPE_CHECKING = False  # not typing's: to import that takes a tenth of what importing all of this does
if TYPE_CHECKING:
    from typing import NoReturn


def main(
    *,
    contents: int,
    heap: int,
    life: int,
    report: int,
    serial: int,
    daemon: int,
    tracker_fd: int,
    alive: int | None = None,
    collect: int = 0,
) -> NoReturn:
    """Run the process that the parent describes in `contents`, and exit.

    `heap`: of the family it joins.  `life`, `report`: pipes of the parent.  `serial`: its number
    in reports.  `tracker_fd`: of the stdlib's resource tracker.  `alive`: to be held as long as it
    lives, where there are no pidfds.  `collect`: the collector is to be switched on.
    """
    for fd in (contents, heap, private.keep(life), report, tracker_fd):
        os.set_inheritable(fd, False)
    if alive is not None:
        os.set_inheritable(private.keep(alive), False)
    if daemon:
        lifeline.die_with_parent(life)
    resource_tracker._resource_tracker._fd = tracker_fd  # type: ignore[attr-defined]

    def prepare() -> None:
        _family.attach(heap)
        os.close(heap)

    # What is here so far stays for ever. So the collector need not go through it, least of all at the end.
    gc.freeze()
    if collect:
        gc.enable()
    code = child.run("spawn", contents, life, Reporter(report, serial), prepare)
    child.finish()
    sys.exit(code)
