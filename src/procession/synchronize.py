"""Lock, RLock, Semaphore, BoundedSemaphore, Condition, Event and Barrier, for processes and threads.

The locks, the semaphores and the event *are* native objects: ``acquire``, ``release``, ``wait``
and the with statement run no Python code.  Everything here can be pickled at any time, to any
process of the family.  Who uses it: contexts, :mod:`procession.queues`, ``sharedctypes``, programs.

When the holder of a Lock or RLock dies, one waiter (or the next caller) gets ``OwnerDiedError``
and the lock is free again.  A semaphore has no holder: what a dead process took stays taken.
"""

from multiprocessing import synchronize as _std

from ._alias import mirror
from ._barrier import Barrier
from ._condition import Condition
from ._locks import BoundedSemaphore, Event, Lock, RLock, Semaphore, SemLock

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]

# Known by their public name, in pickles and representations too.
for _kind in (Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore, SemLock):
    _kind.__module__ = __name__
del _kind

mirror(__name__, _std)
