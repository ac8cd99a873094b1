"""The stdlib's module itself: the same names with threads in the place of processes."""

from multiprocessing import dummy as _std
from multiprocessing.dummy import *  # noqa: F403
from multiprocessing.dummy import connection as _connection

from procession import _alias

_alias.become(f"{__name__}.connection", _connection)
_alias.become(__name__, _std)
