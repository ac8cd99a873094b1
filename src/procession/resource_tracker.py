"""The stdlib's module itself: one tracker watches over the named objects of both packages."""

from multiprocessing import resource_tracker as _std
from multiprocessing.resource_tracker import *  # noqa: F403

from . import _alias

_alias.become(__name__, _std)
