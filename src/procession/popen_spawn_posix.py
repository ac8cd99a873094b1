"""The handle of a process started by spawn; the other names are those of the stdlib's module."""

from multiprocessing import popen_spawn_posix as _std

from . import _alias
from .start.spawn import Popen

__all__ = ["Popen"]

_alias.mirror(__name__, _std)
