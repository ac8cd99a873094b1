"""The stdlib's module itself."""

from multiprocessing import resource_sharer as _std
from multiprocessing.resource_sharer import *  # noqa: F403

from . import _alias

_alias.become(__name__, _std)
