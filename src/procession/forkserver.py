"""The fork server of this process; the other names of the stdlib's module are here too.

What to preload is kept by the stdlib's module, for its own server and ours.
"""

from multiprocessing import forkserver as _std
from multiprocessing.forkserver import set_forkserver_preload
from typing import NoReturn

from . import _alias
from .start import child, serverlink

__all__ = [*_std.__all__, "main"]  # noqa: PLE0604


def ensure_running() -> None:
    """Start the server of this process, unless it runs."""
    serverlink.ensure_running()


def get_inherited_fds() -> list[int] | None:
    """What came with the request for this process; None if no fork server started it."""
    return child.inherited_fds


def main(**given: int) -> NoReturn:
    """Be the server: the entry of `start.server`."""
    child.tidy_main("main")
    from .start import server

    server.serve(**given)


class _ForkServer:
    """The stdlib's object for the server, as far as programs use it."""

    ensure_running = staticmethod(ensure_running)
    get_inherited_fds = staticmethod(get_inherited_fds)
    set_forkserver_preload = staticmethod(set_forkserver_preload)

    @property
    def _forkserver_pid(self) -> int | None:
        server = serverlink.running()
        return None if server is None else server.pid

    def _stop(self) -> None:
        serverlink.stop()


_forkserver = _ForkServer()

_alias.mirror(__name__, _std)
