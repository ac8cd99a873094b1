"""The handle of a process started by fork; the other names are those of the stdlib's module."""

from multiprocessing import popen_fork as _std

from . import _alias
from .start.fork import Popen

__all__ = ["Popen"]

_alias.mirror(__name__, _std)
