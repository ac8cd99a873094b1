"""The stdlib's module itself."""

from multiprocessing.dummy import connection as _std
from multiprocessing.dummy.connection import *  # noqa: F403

from procession import _alias

_alias.become(__name__, _std)
