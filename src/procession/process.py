"""Process: activity that runs in a process of its own.

The state of a program's processes (the current one, the children, the counters) is the stdlib's,
so that both packages see one another's; the names of its module are here too.
"""

from collections.abc import Callable, Iterable, Mapping
from multiprocessing import process as _std
from multiprocessing.process import BaseProcess, active_children, current_process, parent_process
from os import getpid
from time import monotonic
from typing import Any

from . import _alias
from .errors import ProcessError

__all__ = ["BaseProcess", "Process", "active_children", "current_process", "parent_process"]

on_arrival: Callable[[], None] | None = None
"""In a child that was sent its process object: to be called when the object is there."""

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
        self._check_closed()  # type: ignore[attr-defined]
        _demand(self._popen is None, "cannot start a process twice: make a new Process for another run")
        self._demand_ours("can only start a process object created by current process")
        config = current_process()._config  # type: ignore[attr-defined]
        _demand(
            not config.get("daemon") or config.get(_CHILDREN),
            "daemonic processes are not allowed to have children: make this process with daemon=False,"
            " or start the child from its parent",
        )
        active_children()  # takes the exit codes of those who have ended
        self._popen = self._Popen(self)
        self._sentinel = self._popen.sentinel
        # They may hold this object, and have been given to the child.
        del self._target, self._args, self._kwargs  # type: ignore[attr-defined]
        _std._children.add(self)  # type: ignore[attr-defined]

    def join(self, timeout: float | None = None) -> None:
        """Wait until the process has ended, at most `timeout` seconds (None: without limit).

        Ask `exitcode` whether it has.  Raises AssertionError if it was not started, or by another
        process than this one.
        """
        self._check_closed()  # type: ignore[attr-defined]
        self._demand_ours("can only join a child process")
        _demand(self._popen is not None, "can only join a started process: call start() first")
        if timeout is None and self.daemon and _is_exiting():
            self._see_off()
        super().join(timeout)

    def is_alive(self) -> bool:
        """Has it been started and not ended?  AssertionError if it is no child of this process."""
        self._check_closed()  # type: ignore[attr-defined]
        if self is not current_process():
            self._demand_ours("can only test a child process")
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

    def _see_off(self) -> None:
        """At the exit of the program, which has sent SIGTERM: end a daemon that is deaf to it."""
        global _last_moment
        if _last_moment is None:
            _last_moment = monotonic() + _GRACE  # for all daemons together
        super().join(max(0.0, _last_moment - monotonic()))
        self._popen.kill()

    def _demand_ours(self, message: str) -> None:
        parent = self._parent_pid
        _demand(parent == getpid(), f"{message}; this one belongs to process {parent}")

    def _demand_started(self, verb: str) -> None:
        self._check_closed()  # type: ignore[attr-defined]
        if self._popen is None:
            raise AttributeError(f"cannot {verb} a process that was not started: call start() first")

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        """In the child: the stdlib's, or what a tracer has put in its place."""
        if on_arrival is not None:
            on_arrival()
        return super()._bootstrap(parent_sentinel)  # type: ignore[misc, no-any-return]


def _is_exiting() -> bool:
    from multiprocessing import util  # late: importing the package shall stay short

    return bool(util.is_exiting())


def _demand(condition: bool, message: str) -> None:
    # Not an assert statement, which python -O leaves out.
    if not condition:
        raise AssertionError(message)


_alias.mirror(__name__, _std)
