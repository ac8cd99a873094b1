"""Memory with a name, which unrelated programs may open; and lists in such memory.

The one thing of this package that may outlive processes, since its API has names.  The resource
tracker, which is the stdlib's, unlinks what a killed creator leaves behind.
"""

from multiprocessing import shared_memory as _std

from . import _alias
from ._named_memory import SharedMemory
from ._shareable import ShareableList

__all__ = ["ShareableList", "SharedMemory"]

_alias.mirror(__name__, _std)
