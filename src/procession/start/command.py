"""Command lines of new interpreters: spawned children and the fork server."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterable
from multiprocessing import resource_tracker as _resource_tracker
from multiprocessing import spawn as _spawn
from multiprocessing import util as _util

from .. import _private as private
from .. import _stdlib

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The folder to import this package from."""


def line(entry: str, /, **given: object) -> list[str]:
    """The command line that calls `spawn_main` of procession.spawn, or `main` of procession.forkserver.

    Its look is the stdlib's, by which tracers, debuggers and freezers know it.  They also put
    their own in the place of the functions used here, in the stdlib's modules.
    """
    if getattr(sys, "frozen", False):
        return [sys.executable, "--multiprocessing-fork", *(f"{k}={v!r}" for k, v in given.items())]
    function = "spawn_main" if entry == "spawn" else "main"
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
    program = f"{_path()}{_install()}from procession.{entry} import {function}; {function}({arguments})"
    if entry == "spawn":
        # It would go several times through what importing leaves, all of which stays.
        program = f"import gc; collect = gc.isenabled(); gc.disable(); {program[:-1]}, collect=collect)"
    flags = _util._args_from_interpreter_flags()  # type: ignore[attr-defined]
    mark = ["--multiprocessing-fork"] if entry == "spawn" else []
    return [_interpreter(), *flags, "-c", program, *mark]


def run(words: list[str], fds: Iterable[int]) -> int:
    """Start the program; it inherits the standard streams and `fds`.  Gives its pid.

    Raises OSError where a process is refused.
    """
    executable = _interpreter()
    # One that cannot be executed would otherwise be a child that dies without a word.
    if not os.access(executable, os.X_OK):
        reason = errno.EACCES if os.path.exists(executable) else errno.ENOENT
        raise OSError(reason, f"{os.strerror(reason)} (see set_executable)", executable)
    return _util.spawnv_passfds(os.fsencode(executable), words, sorted(set(fds)))


def tracker() -> int:
    """Descriptor of the stdlib's resource tracker, of which all processes of a program have one.

    It watches over what the stdlib's objects name in the file system, SharedMemory above all.
    """
    private.undo(_free_tracker)
    # Python 3.11 and 3.12 unblock SIGINT and SIGTERM when they start it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        fd = _resource_tracker.getfd()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    assert fd is not None
    return fd


def _free_tracker() -> None:
    """In a forked child: whichever thread held the tracker's lock is the parent's."""
    _resource_tracker._resource_tracker._lock = threading.RLock()  # type: ignore[attr-defined]


def _install() -> str:
    """What makes a new interpreter as this one is, before it imports or unpickles anything."""
    return "from procession._install import install; install(); " if _stdlib.moved() else ""


def _interpreter() -> str:
    executable = _spawn.get_executable()
    if not executable:
        raise OSError(errno.ENOENT, "no Python interpreter is known to start: name one by set_executable()")
    return os.fsdecode(executable)


def _path() -> str:
    """What makes this package importable where it was found by a change of sys.path."""
    if os.path.basename(_ROOT) in {"site-packages", "dist-packages"}:
        return ""
    return f"import sys; sys.path.append({_ROOT!r}); "
