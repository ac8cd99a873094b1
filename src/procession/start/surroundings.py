"""What a child of the fork server takes over from who asked for it, as it is today.

The server may have been started long ago: its environment, standard streams and signals are those
of that day.  (Working directory and sys.path are among the stdlib's preparation data.)
"""

import os
import pickle
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_LENGTH = struct.Struct("=Q")
STREAMS = (1, 2)
"""Standard output and error; the input of a child is the null device, under every start method."""


def packed() -> bytes:
    """This process's environment, and what this thread and process do about signals."""
    blocked = [int(sig) for sig in signal.pthread_sigmask(signal.SIG_BLOCK, ())]
    ignored = [int(sig) for sig in signal.valid_signals() if signal.getsignal(sig) is signal.SIG_IGN]
    data = pickle.dumps((dict(os.environb), blocked, ignored))
    return _LENGTH.pack(len(data)) + data


def take(fd: int) -> None:
    """In the child: read them from `fd`, not a byte more, and make them its own."""
    (length,) = _LENGTH.unpack(os.read(fd, _LENGTH.size))
    environment, blocked, ignored = pickle.loads(os.read(fd, length))
    for name in os.environb.keys() - environment.keys():
        del os.environb[name]
    os.environb.update(environment)
    for sig in signal.valid_signals():
        _ignore(sig, ignored=sig in ignored)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _ignore(sig: signal.Signals, *, ignored: bool) -> None:
    if ignored == (signal.getsignal(sig) is signal.SIG_IGN):
        return
    default = signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL
    with suppress(OSError):  # those which nobody may ignore
        signal.signal(sig, signal.SIG_IGN if ignored else default)


@contextmanager
def streams() -> Iterator[list[int]]:
    """Descriptors of the standard streams; the null device for one that is closed."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        yield [fd if _is_open(fd) else null for fd in STREAMS]
    finally:
        os.close(null)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def take_streams(fds: list[int]) -> None:
    """In the child: make `fds` the standard streams, and close them under their own numbers."""
    for fd, stream in zip(fds, STREAMS, strict=True):
        os.dup2(fd, stream)
        os.close(fd)
