"""The handle of a process started by forkserver; the other names are those of the stdlib's module."""

from multiprocessing import popen_forkserver as _std

from . import _alias
from .start.forkserver import Popen

__all__ = ["Popen"]

_alias.mirror(__name__, _std)
