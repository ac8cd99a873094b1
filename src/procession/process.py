"""Process: activity that runs in a process of its own.

The state of a program's processes (the current one, the children, the counters) is the stdlib's,
so that both packages see one another's; the names of its module are here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from multiprocessing import process as _std
from multiprocessing.process import BaseProcess, active_children, current_process, parent_process
from os import getpid
from time import monotonic

from . import _alias

TYPE_CHECKING = False  # not typing's: to import that takes a tenth of what importing all of this does
if TYPE_CHECKING:
    from typing import Any

    from .errors import ProcessError

__all__ = ["BaseProcess", "Process", "active_children", "current_process", "parent_process"]

_GRACE = 2.0
"""Seconds that daemons have to end on SIGTERM when the program exits; then they are killed."""

_CHILDREN = "procession_children"
"""Name, in a process's configuration, of whether it may have children though it is daemonic."""

_last_moment: float | None = None

started_by: str | None = None
"""In a child whose context does not know it yet: the start method by which it was started."""


def admit_children() -> None:
    """Let this process have children though it is daemonic, as are they and theirs by default.

    The stdlib refuses, since it could not end them when their parent is ended.
    """
    current_process()._config[_CHILDREN] = True  # type: ignore[attr-defined]


def begin(method: str | None) -> None:
    """In a child: it was started by `method`, if its context does not know that yet."""
    # A function, since an assignment from outside takes the long way of modules with two sets of names.
    global started_by
    started_by = method


def announce(arrived: Callable[[], None]) -> None:
    """In a child that is yet to unpickle its process object: have that call `arrived` before all else."""

    def bootstrap(self: Process, parent_sentinel: int | None = None) -> int:
        arrived()
        # The stdlib's, or what a tracer has put in its place.
        return super(Process, self)._bootstrap(parent_sentinel)  # type: ignore[misc, no-any-return]

    # Not a method that is always there, for which each forked child would have to pay.
    Process._bootstrap = bootstrap  # type: ignore[attr-defined]


class Process(BaseProcess):
    """Runs `target(*args, **kwargs)`, or an overriding `run`, in a child process.

    `group` is None.  `name` is for people; by default it tells the class and the place in the
    tree of processes.  A process with `daemon=True` is terminated when its parent ends and killed
    when its parent is; it may have no children, unless it runs tasks of a pool.  By default `daemon`
    is that of the creator.

    Raises TypeError if `target` is neither None nor callable.
    """

    _popen: Any
    _parent_pid: int | None
    _closed: bool
    _Popen: Callable[[BaseProcess], Any]

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        if target is not None and not callable(target):
            raise TypeError(
                f"target must be a callable or None, not {target!r}; to call f(x) in the process,"
                " pass target=f, args=(x,)"
            )
        super().__init__(group, target, name, args, kwargs or {}, daemon=daemon)

    def start(self) -> None:
        """Start the process; at most once an object.

        Raises AssertionError for a second start, in a daemonic process that is no pool's worker,
        or in another process than the one that made the object; TransferError if the start method
        pickles (all but fork) and the target or an argument cannot be; OSError where the system
        refuses.
        """
        if self._closed:
            self._check_closed()  # type: ignore[attr-defined]
        # Not assert statements, which python -O leaves out.
        if self._popen is not None:
            raise AssertionError("cannot start a process twice: make a new Process for another run")
        if self._parent_pid != getpid():
            raise self._not_ours("can only start a process object created by current process")
        config = _std._current_process._config  # type: ignore[attr-defined]
        if config.get("daemon") and not config.get(_CHILDREN):
            raise AssertionError(
                "daemonic processes are not allowed to have children: make this process with daemon=False,"
                " or start the child from its parent"
            )
        _std._cleanup()  # type: ignore[attr-defined]
        try:
            self._popen = self._Popen(self)
            self._sentinel = self._popen.sentinel
            _std._children.add(self)  # type: ignore[attr-defined]
        except BaseException:
            self._break_off()
            raise
        # They may hold this object, and have been given to the child.
        del self._target, self._args, self._kwargs  # type: ignore[attr-defined]

    def join(self, timeout: float | None = None) -> None:
        """Wait until the process has ended, at most `timeout` seconds (None: without limit).

        Ask `exitcode` whether it has.  Raises AssertionError if it was not started, or by another
        process than this one.
        """
        if self._closed:
            self._check_closed()  # type: ignore[attr-defined]
        if self._parent_pid != getpid():
            raise self._not_ours("can only join a child process")
        if self._popen is None:
            raise AssertionError("can only join a started process: call start() first")
        if timeout is None and self._config.get("daemon") and _is_exiting():  # type: ignore[attr-defined]
            self._see_off()
        # As the stdlib's, which asks once more what has been asked above.
        if self._popen.wait(timeout) is not None:
            _std._children.discard(self)  # type: ignore[attr-defined]

    def is_alive(self) -> bool:
        """Has it been started and not ended?  AssertionError if it is no child of this process."""
        self._check_closed()  # type: ignore[attr-defined]
        if self is not current_process() and self._parent_pid != getpid():
            raise self._not_ours("can only test a child process")
        return super().is_alive()

    def terminate(self) -> None:
        """Send SIGTERM.  Children of the process are not touched; daemonic ones die with it.

        Nothing happens if it has ended.  Raises AttributeError before the start, ValueError after
        `close`; so do `kill` and `interrupt`.
        """
        self._demand_started("terminate")
        super().terminate()

    def kill(self) -> None:
        """Send SIGKILL, which no process can catch."""
        self._demand_started("kill")
        super().kill()

    def interrupt(self) -> None:
        """Send SIGINT, which a child takes as KeyboardInterrupt."""
        self._demand_started("interrupt")
        self._popen.interrupt()

    @property
    def sentinel(self) -> int:
        """A descriptor that is readable once the process has ended, for `connection.wait`.

        Where queues are waited for in this way as well, what the process had put is seen no later.
        Raises ValueError for a process that was not started.
        """
        plain = super().sentinel
        gated: Callable[[], int] | None = getattr(self._popen, "gated", None)
        return plain if gated is None else gated()

    @property
    def start_error(self) -> ProcessError | None:
        """Why the process ended before it ran its target, with its traceback; else None.

        Known once the child has told, or ended.  Always None under fork, where the child needs
        to load nothing.
        """
        popen = self._popen
        if popen is None:
            return None
        popen.poll()
        return getattr(popen, "start_error", None)

    def _break_off(self) -> None:
        """A signal handler has raised in `start`: the caller will not know of a child, so there is none."""
        popen, self._popen = self._popen, None
        if popen is not None:
            _std._children.discard(self)  # type: ignore[attr-defined]
            popen.put_down()

    def _see_off(self) -> None:
        """At the exit of the program, which has sent SIGTERM: end a daemon that is deaf to it."""
        global _last_moment
        if _last_moment is None:
            _last_moment = monotonic() + _GRACE  # for all daemons together
        super().join(max(0.0, _last_moment - monotonic()))
        self._popen.kill()

    def _not_ours(self, message: str) -> AssertionError:
        return AssertionError(f"{message}; this one belongs to process {self._parent_pid}")

    def _demand_started(self, verb: str) -> None:
        self._check_closed()  # type: ignore[attr-defined]
        if self._popen is None:
            raise AttributeError(f"cannot {verb} a process that was not started: call start() first")


def _is_exiting() -> bool:
    from multiprocessing import util  # late: importing the package shall stay short

    return bool(util.is_exiting())


_alias.mirror(__name__, _std)
