"""Descriptors that a pickle holds for its reader, where nobody will ever read it.

Pickling a socket or a Connection leaves a duplicate of its descriptor with the stdlib's resource
sharer until the reader fetches it.  Left there, it would keep a stream open for ever.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterable
from typing import Any


def give_back(pickler: pickle.Pickler) -> None:
    """Close the duplicates in what `pickler` has pickled."""
    if "multiprocessing.resource_sharer" in sys.modules:
        close_duplicates([thing for _, thing in pickler.memo.copy().values()])


def close_duplicates(things: Iterable[Any]) -> None:
    """Close those duplicates among `things` that the resource sharer still has."""
    sharer: Any = sys.modules.get("multiprocessing.resource_sharer")
    if sharer is None:
        return
    for thing in things:
        if type(thing) is sharer.DupFd:
            _, close = sharer._resource_sharer._cache.pop(thing._id[1], (None, None))
            if close is not None:
                close()
