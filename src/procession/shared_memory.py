"""The stdlib's module itself: memory with a name, which unrelated programs may open."""

from multiprocessing import shared_memory as _std
from multiprocessing.shared_memory import *  # noqa: F403

from . import _alias

_alias.become(__name__, _std)
