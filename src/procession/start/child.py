"""The life of a child, from the first line that runs in it to the last.

Called by fork in the forked child, by `procession.spawn` in a new interpreter and by the fork
server's children.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from multiprocessing import process as _std
from multiprocessing import util as _util

from .. import _family, _take_main, process
from .reports import Reporter

TYPE_CHECKING = False  # not typing's: to import that takes a tenth of what importing all of this does
if TYPE_CHECKING:
    from typing import NoReturn

inherited_fds: list[int] | None = None
"""Descriptors that came with the request to the fork server, by the numbers pickled for them."""


def tidy_main(name: str) -> None:
    """Take out of `__main__` what our command line has put there; it is the program's namespace."""
    if getattr(sys, "frozen", False):
        return  # there it had nothing to do with what main has
    for ours in (name, "install", "sys", "gc", "collect"):
        vars(sys.modules["__main__"]).pop(ours, None)


def run(method: str, fd: int, life: int, reporter: Reporter, prepare: Callable[[], object]) -> int:
    """Prepare, unpickle the process object behind `fd`, run it, and give back the exit code.

    Whatever fails before the target runs is told to the parent and on the standard error.
    """
    # Looked up now: tracers put their own in its place.
    from multiprocessing import spawn

    process.begin(method)
    process.announce(reporter.arrived)
    take_main()
    try:
        prepare()
        return spawn._main(fd, life)
    except BaseException:  # noqa: BLE001 - SystemExit of an imported main among them
        return _failed(reporter)


def take_main() -> None:
    """Have the stdlib's preparation import main in our way, unless a tracer has one of its own."""
    from multiprocessing import spawn

    ways = {"_fixup_main_from_path": _take_main.from_path, "_fixup_main_from_name": _take_main.from_name}
    for name, way in ways.items():
        if getattr(spawn, name).__module__ == spawn.__name__:
            setattr(spawn, name, way)


def _failed(reporter: Reporter) -> int:
    import traceback

    text = traceback.format_exc()
    if not reporter.spoken:
        print(f"Process {_std.current_process().name} failed before it ran its target:", file=sys.stderr)
        reporter.failed(text)
    print(text, end="", file=sys.stderr)
    return 1


def finish() -> None:
    """The last that a child does: exit handlers, each once, then it gives up all it shares."""
    try:
        atexit._run_exitfuncs()
        _util._exit_function()  # type: ignore[attr-defined]
    finally:
        _util._flush_std_streams()  # type: ignore[attr-defined]
        _family.leave()


def end(code: int) -> NoReturn:
    """Finish, and end without what belongs to the process that this one was forked from."""
    try:
        if code == 0 and _util._exiting and not atexit._ncallbacks():  # type: ignore[attr-defined]
            _family.leave()  # the rest was done by the stdlib when the target had run; not so as of 3.14
        else:
            finish()
    finally:
        os._exit(code)
