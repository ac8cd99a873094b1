"""A place for a sentinel, taken before its child exists.

A program that has run out of descriptors learns so while there is no child yet that would have to
be killed again.
"""

import os
from collections.abc import Sequence

from .. import _private as private
from . import pidfd


class Place:
    """Holds the place until there is a child to watch.

    Where pidfds are refused the sentinel is the reading end of a pipe, and `child_end` its other
    end, which the child has to hold as long as it lives; else `child_end` is None.

    `life`: the life pipe of a child that is about to be forked and shall die with this process.  What
    holds the place is that pipe, then, opened anew for the child: `life_end`, None if that cannot be.
    """

    def __init__(self, life: int | None = None) -> None:
        self.child_end: int | None = None
        self.life_end: int | None = None
        self._pipe_end: int | None = None
        self._reserve: int | None = None
        self._bound: list[int] = []
        if pidfd.available():
            # A child would have to make an entry of its own in /proc for that, which takes 50 us.
            if life is None or not self._open_anew(life):
                self._reserve = private.keep(os.open(os.devnull, os.O_RDONLY))
        else:
            self._pipe_end, self.child_end = os.pipe()

    def _open_anew(self, life: int) -> bool:
        try:
            # Without waiting for a writer, should there be none.  Not listed as private: the child keeps it.
            self.life_end = self._reserve = os.open(f"/proc/self/fd/{life}", os.O_RDONLY | os.O_NONBLOCK)
        except OSError:  # no /proc, or none that may be read; or no descriptors, which shows again
            return False
        return True

    def vacate(self) -> None:
        """Make room for a pidfd, which is about to come."""
        # Out first: to close it twice, where a signal handler raises in between, might hit a stranger's.
        reserve, self._reserve = self._reserve, None
        if reserve is not None:
            private.close(reserve)

    def bind(self, pid: int) -> int:
        """The sentinel of a child that this process has made.

        One that has been reaped already, by somebody else, gets the null device: always ready.
        """
        if self._pipe_end is not None:
            return self._bound_pipe()
        self.vacate()
        try:
            # In one step for the interpreter: had a signal handler raised in between, it would be lost.
            self._bound.extend(map(os.pidfd_open, (pid,)))
        except ProcessLookupError:
            self._bound.extend(map(os.open, (os.devnull,), (os.O_RDONLY,)))
        return self._bound[0]

    def bind_received(self, fds: Sequence[int]) -> int:
        """The sentinel of a child that another process has made: the pidfd that it sent, if any."""
        if self._pipe_end is not None:
            return self._bound_pipe()
        self._bound.extend(fds)
        return fds[0]

    def cancel(self) -> None:
        """There will be no child, or none that is watched: give up what there is."""
        self.vacate()
        if self._pipe_end is not None:
            os.close(self._bound_pipe())
        while self._bound:
            private.close(self._bound.pop())

    def enter_child(self) -> None:
        """In the forked child that has an end of a pipe: let go of the parent's, and keep its own."""
        assert self._pipe_end is not None
        assert self.child_end is not None
        os.close(self._pipe_end)
        private.keep(self.child_end)

    def _bound_pipe(self) -> int:
        assert self._pipe_end is not None
        assert self.child_end is not None
        end, self._pipe_end = self._pipe_end, None
        os.close(self.child_end)
        return end
