"""Start methods, one file a kind: `fork`, `spawn`, `forkserver`.

Each has a class `Popen`, which the contexts' process classes call with a process object: it starts
a child and is the parent's handle of it.  What such a handle can do is written here; programs and
libraries reach it as `Process._popen`.

Downwards from a kind: `carried` (the child unpickles its process object) and `watch` (the parent
sees how it goes) are what kinds have in common; `child` is the life at the other end.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not typing's: to import that takes a tenth of what importing all of this does
if TYPE_CHECKING:
    from typing import ClassVar, Protocol
else:
    Protocol = object


class Started(Protocol):
    """A child as its parent sees it."""

    method: ClassVar[str]
    """Name of the start method."""
    carries_heap: ClassVar[bool]
    """Is the child a member of this process's family before it unpickles anything?"""
    pid: int
    sentinel: int
    """A descriptor, readable once the child has ended; then `wait(0)` gives the exit code."""
    returncode: int | None
    """The exit code, None as long as the child is not known to have ended."""

    def poll(self, flag: int = ...) -> int | None:
        """The exit code if the child has ended, else None; with flag 0 wait for it."""

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code once the child has ended, None if it has not within `timeout` seconds."""

    def terminate(self) -> None:
        """Send SIGTERM, if it has not ended."""

    def kill(self) -> None:
        """Send SIGKILL, if it has not ended."""

    def interrupt(self) -> None:
        """Send SIGINT, if it has not ended."""

    def close(self) -> None:
        """Give up the sentinel of a child that has ended."""

    def duplicate_for_child(self, fd: int) -> int:
        """While its process object is pickled: have the child get `fd`, too."""
