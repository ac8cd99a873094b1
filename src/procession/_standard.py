"""Numbers of the standard streams, which no other descriptor of ours may have.

A program may run with some of them closed, as daemons do.  A pipe or a heap that got such a number
would be taken for a stream by children, and closed or written to.
"""

import os

__all__ = ["reserve"]


def reserve() -> None:
    """Open the null device, for children too, in the place of each standard stream that is closed."""
    for fd in range(3):
        try:
            os.get_inheritable(fd)
        except OSError:
            # The lowest that is free; if another thread was quicker, the number is its own.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
