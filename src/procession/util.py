"""The stdlib's module itself: finalizers and after-fork hooks are registered once for both packages."""

from multiprocessing import util as _std
from multiprocessing.util import *  # noqa: F403

from . import _alias

_alias.become(__name__, _std)
