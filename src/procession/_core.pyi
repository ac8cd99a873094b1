"""The native module: memory shared by one process family, and the words both sides touch.

Only :mod:`procession._family` imports it.  Vocabulary:

*family*   a process tree that shares one heap (an unnamed memfd); known by a random 64-bit uid.
*member*   a process of the family, known by a 32-bit id that is never used twice at a time:
           a slot in the family's table (pid, and when that was known), and a generation.
*object*   a block of the heap that several members may hold a handle of (lock, event, ring ...).
           It is freed when its last handle is dropped or its last holder has died.
*handle*   ``(family, offset, serial)``: three integers that name an object for ever; opening
           one whose object is gone raises ``ReferenceError``, never gives a stranger's memory.

Waits release the GIL, spin for a moment where that can help, then sleep on a futex; a signal
whose Python handler raises ends them with that exception.  A handler may use the very object that
is waited for.  Where one forks, the child's copy of the wait ends with RuntimeError.  ``timeout``
is in seconds; None waits for ever; zero or less does not wait; ValueError for nan.  Deadlines are
of the monotonic clock.  ``block`` may be anything that has a truth value.

Every method raises RuntimeError in a process that lost its objects when it was forked, because
the system had no memory or no seat for it.
"""

from collections.abc import Iterable
from typing import Any, Self, final

from typing_extensions import disjoint_base

Handle = tuple[int, int, int]

RECURSIVE_MUTEX: int  # 0, as in _multiprocessing.SemLock
SEMAPHORE: int  # 1
SEM_VALUE_MAX: int  # 2**31 - 1

# ---- the family ---------------------------------------------------------------------------

def heap_fd() -> int:
    """Descriptor of this process's family heap (close-on-exec); founds the family at first use.

    Raises OSError where memory or descriptors are refused.
    """

def family() -> int:
    """The uid of this process's family, which is founded if there is none."""

def attach(fd: int) -> int:
    """Join the family whose heap is behind `fd` and give back its uid; `fd` is duplicated.

    The first family that a process joins or founds is its own; joining one twice does nothing.
    Raises ValueError if `fd` is no heap of this build's layout, OSError where the system refuses.
    """

def leave() -> None:
    """Say that this process ends in good order; called last before it exits.

    What it holds is taken back when the parent buries it; one that ended without a word, or said it
    beside other threads, also has the whole heap searched for what it may have left half done.
    """

def adopt() -> None:
    """In a child after fork: take a seat, if the fork was one that runs no handlers (then the child
    holds nothing).  After an ordinary fork the child has its parent's handles already."""

def forked(pid: int) -> None:
    """In a parent, in the thread that forked: say that its child is `pid`.

    Then a child that is killed before it ran a single instruction can be buried like any other;
    without this, what it held is kept for a minute.
    """

def end_by(own: int) -> None:
    """As :func:`end_with`, by a reading end that was opened anew, without waiting, for this process alone.

    It has to stay open."""

def end_with(fd: int) -> int:
    """Have the kernel kill this process as soon as the pipe behind `fd`, a reading end, hangs up.

    Gives a descriptor that has to stay open.  Raises OSError where the system refuses.
    """

def member() -> int:
    """This process's member id in its own family."""

def members() -> list[tuple[int, int]]:
    """(pid, member id) of every living member of this process's own family."""

def bury(pid: int) -> int:
    """Take back what dead members held; give the number of objects and blocks freed.

    `pid` is one that was seen to end (0: look at every member).  Living members are untouched,
    so a wrong pid costs only the look.  A few others are looked at too, and all if one was killed.
    """

def heap_stats() -> dict[str, int]:
    """Bytes and counts of this process's own heap: ``used``, ``free``, ``top``, ``blocks``,
    ``objects``, ``members``."""

# ---- objects ------------------------------------------------------------------------------

@disjoint_base
class Shared:
    """What every object has in common."""

    @property
    def handle(self) -> int:
        """Offset in the heap: equal for all handles of one object in one family."""
    def _handle(self) -> Handle: ...
    @classmethod
    def _attach(cls, handle: Handle) -> Self:
        """One more handle of an existing object.

        Raises ReferenceError when it is gone, LookupError when this process has not joined the
        family, TypeError when it is an object of another class.
        """

@disjoint_base
class SemLock(Shared):
    """Lock, RLock and both semaphores; the interface of ``_multiprocessing.SemLock``.

    kind RECURSIVE_MUTEX: owned by a thread of a process, counted.  kind SEMAPHORE with
    maxvalue 1 and value 1: a lock that anybody may release, whose holder is recorded.  Other
    semaphores have no owner: whoever takes from one need not be the one who gives.
    Raises ValueError unless 0 <= value <= maxvalue, or if an owned lock has another maxvalue than 1.
    """

    def __new__(
        cls,
        kind: int = 1,
        value: int = 1,
        maxvalue: int = 1,
        owned: bool = False,
        *,
        _handle: Handle | None = None,
    ) -> Self: ...
    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """True when taken.  Raises ``procession.errors.OwnerDiedError``, the lock being free, in
        one waiter (or the next caller) after the holder of an owned lock died."""
    def release(self) -> None:
        """Raises ValueError beyond maxvalue; AssertionError for a recursive lock not owned."""
    def __enter__(self) -> bool: ...
    def __exit__(self, _kind: object = None, _error: object = None, _trace: object = None) -> None: ...
    @property
    def kind(self) -> int: ...
    @property
    def maxvalue(self) -> int: ...
    @property
    def name(self) -> None: ...
    def _take_again(self) -> bool:
        """As ``acquire()``, for who gave it away for a while: in a circle of waits another is told, if
        any other can be."""
    def _count(self) -> int: ...
    def _is_mine(self) -> bool: ...
    def _get_value(self) -> int: ...
    def _is_zero(self) -> bool: ...
    def _holder(self) -> tuple[int, int] | None:
        """(pid, thread id) of who holds an owned lock, or None."""

@disjoint_base
class Guard:
    """An object, the lock that guards it, and that one's methods; the base of wrappers, which set all four.

    AttributeError where one was not set."""

    _obj: Any
    _lock: Any
    acquire: Any
    release: Any
    def __new__(cls, *_arguments: Any, **_by_name: Any) -> Self: ...
    def get_lock(self) -> Any: ...

@final
class Guarded:
    """A descriptor: this attribute of a guard's ``_obj``, read and written between its ``acquire()``
    and its ``release()``, with no signal handler in between if the lock is one of ours."""

    def __new__(cls, name: str) -> Self: ...
    def __get__(self, guard: Any, _class: Any = None, /) -> Any: ...
    def __set__(self, guard: Any, value: Any, /) -> None: ...
    def __delete__(self, _guard: Any, /) -> None: ...

@disjoint_base
class EventWord(Shared):
    """A flag.  A pulse (set, then clear) releases everybody who waited when it came."""

    def __new__(cls, *, _handle: Handle | None = None) -> Self: ...
    def is_set(self) -> bool: ...
    def set(self) -> None: ...
    def clear(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...

@disjoint_base
class WaitList(Shared):
    """Who waits on a condition, oldest first; a waiter that died is passed over."""

    def __new__(cls, *, _handle: Handle | None = None) -> Self: ...
    def enter(self) -> int:
        """Join the list; to be called with the condition's lock held.  Gives a ticket."""
    def wait(self, ticket: int, timeout: float | None = None) -> bool:
        """Sleep until notified; the ticket is used up.  False when the time ran out.

        Where an exception ends the wait, a notification that had come is handed to the next.
        Raises ValueError for a ticket that was used, or is another process's."""
    def notify(self, n: int = 1) -> int:
        """Wake up to n living waiters; gives how many."""
    def __len__(self) -> int: ...

@disjoint_base
class Block(Shared):
    """Zeroed memory of `size` bytes (at least 1 is kept), 64-byte aligned; a writable buffer.

    Raises MemoryError where the system refuses the pages; no later access can fault.
    """

    def __new__(cls, size: int = 0, *, _handle: Handle | None = None) -> Self: ...
    @property
    def size(self) -> int: ...
    def __buffer__(self, flags: int) -> memoryview: ...

@final
class Hold:
    """Holds what messages carried, until it is dropped; see :meth:`Ring.hand_over_carried`."""

@disjoint_base
class Buffer(Shared):
    """A copy of `data` (any contiguous bytes-like object), for one receiver to take.

    For whoever made it the bytes are read-only.  Raises MemoryError where the system refuses memory.
    """

    def __new__(cls, data: Any = None, *, _handle: Handle | None = None) -> Self: ...
    @staticmethod
    def _take(handle: Handle) -> Buffer | bytearray:
        """Take it: its bytes are writable and this process's own, after a fork too.

        A bytearray with a copy where this process has taken 16,384 already and not dropped them.
        Raises ReferenceError when it was taken before or is gone.
        """
    @staticmethod
    def _map(handle: Handle) -> Buffer | bytearray:
        """Its bytes as this process's own, writable; nobody may take it, any number may map it.

        A bytearray with a copy where it is mapped already, or cannot be.
        Raises ReferenceError when it is gone.
        """
    @classmethod
    def _onward(cls, offered: list[Any]) -> list[Self]:
        """For each of pickle's buffers one of this class with its bytes; the list keeps none of them.

        The bytes are copied, unless they are all of a taken buffer that then nobody has any more: this
        goes on as it is.
        """
    def __buffer__(self, flags: int) -> memoryview: ...
    def __len__(self) -> int: ...

@disjoint_base
class Ring(Shared):
    """Messages of bytes from any member to any member, in the order of the puts.

    `maxsize` counts messages; 0 is no limit but memory.  A message is in shared memory when
    put returns; a member killed in put or get damages nothing.
    """

    def __new__(cls, maxsize: int = 0, *, _handle: Handle | None = None) -> Self: ...
    def put(
        self,
        data: Any,
        block: bool = True,
        timeout: float | None = None,
        tag: int = 0,
        carry: list[Any] | None = None,
    ) -> bool:
        """Append one message (any contiguous bytes-like object); False if full all the time.

        Where `data` is a list, they are the message's parts, one behind the other; it is copied once.
        `carry` are objects whose handles are inside the data: the message holds them until it
        is taken.  `tag` is a number for claims.  Raises MemoryError, nothing put.
        """
    def offer(self, obj: object, /) -> bool:
        """Put what :func:`dumps_plain` gives, as ``put(data, False)``; False where it gives None."""
    def put_task(self, mid: int, key: int, text: bytes, prompt: int, mode: int, items: object) -> bool:
        """Put a message to workers, see ``_flow.wire``, if C alone pickles `items`; else False.

        Waits as long as that takes.  Raises what `put` and pickle raise, nothing put.
        """
    def put_many(self, items: Iterable[Any], block: bool = True, timeout: float | None = None) -> int:
        """Append messages in order, small ones under one lock; gives how many were put.

        `items` is read to its end before the first is put.  Raises MemoryError if not even one
        could be put."""
    def get(self, block: bool = True, timeout: float | None = None) -> bytes | None:
        """Take the oldest message; None if there was none all the time.

        Who will not wait for a message waits up to a second for another taker to be done."""
    def take(self, block: bool = True, timeout: float | None = None) -> bytes | Buffer | None:
        """As get; a large message is given where it lies, read-only, and freed when dropped."""
    def fetch(self, default: Any, /) -> Any:
        """The object in the message that ``take(False)`` gives; `default` where that gives None.

        What the message carried is kept until the object is made, and no longer.
        Raises what :func:`loads` does; then the message is gone."""
    def get_many(self, limit: int, block: bool = True, timeout: float | None = None) -> list[Any]:
        """Take what is there, at most `limit` messages, waiting only for the first.

        Each as of :meth:`take`: so a large one needs no memory of this process.
        """
    def get_claimed(
        self, claims: Claims, slot: int, block: bool = True, timeout: float | None = None
    ) -> bytes | Buffer | None:
        """As :meth:`take`, and the tag is written into the claim slot as part of the taking."""
    def settle(self) -> None:
        """Repair what a dead taker left, so that every claim on this ring is exact."""
    def cut(self, claims: Claims, slot: int, tag: int, unit: int) -> tuple[int, int, int] | None:
        """Take away from the slot's worker what it has not begun of message `tag`, in whole units.

        (tag, first, end) of what is no longer the worker's; None where it has another message, has
        not begun, or nothing is left.
        """
    def hand_over_carried(self) -> Hold | None:
        """What :meth:`carried` tells of, to be held by an object from now on; None if nothing."""
    def carried(self) -> list[Handle]:
        """Handles that what this thread took last (one message, or those of one get_many) carried;
        they stay valid until the next get by this thread or :meth:`drop_carried`."""
    def drop_carried(self) -> None: ...
    def wait_readable(self, timeout: float | None = None) -> bool:
        """Sleep until a message is there (another may take it first), the ring is shut, or `interrupt`."""
    def wait_drained(self, timeout: float | None = None) -> bool:
        """Sleep until no message is there, or :meth:`interrupt`."""
    def interrupt(self) -> None:
        """Wake every sleeper in wait_readable, wait_drained and get, of any member, once: these
        return as if the time had run out."""
    def shut(self) -> None:
        """Take no more messages: every put, also one that waits for room, gives False at once; who waits
        for a message is woken as by :meth:`interrupt`.  What is there can still be taken."""
    def is_shut(self) -> bool: ...
    def qsize(self) -> int: ...
    @property
    def maxsize(self) -> int: ...
    def task_done(self) -> None:
        """Raises ValueError when called more often than messages were put."""
    def unfinished(self) -> int: ...
    def join(self, timeout: float | None = None) -> bool:
        """Wait until task_done was called for every message put."""

@final
class Readiness:
    """An eventfd of this process, readable exactly while a message waits in `ring`, or it was shut.

    Two threads without Python in them follow what other processes do with the ring; what this one
    does is seen at once where `update` is called after it.  Raises OSError for want of a descriptor,
    RuntimeError for want of a thread.
    """

    def __new__(cls, ring: Ring) -> Self: ...
    def fileno(self) -> int:
        """The descriptor, which stays this object's; -1 after `close` or `forget`."""
    def update(self) -> None:
        """Make the descriptor say what is true now."""
    def close(self) -> None:
        """End the threads, then close the descriptor.  In any thread, any number of times."""
    def forget(self) -> None:
        """In a forked child, which has no such threads: close its copy of the descriptor."""

class Claims(Shared):
    """A table of `slots` claims, one a worker."""

    def __new__(cls, slots: int = 1, *, _handle: Handle | None = None) -> Self: ...
    def read(self, slot: int) -> tuple[int, int, bool, bool, int] | None:
        """(tag, begun, runs, answers, end) of what the slot's worker holds, or None.

        It `runs` item `begun` of its message, and goes on to `end`; where it `answers`, it has run that
        and answers several.  All zero if it has not begun any."""
    def begin(self, slot: int, begun: int, end: int) -> bool:
        """The worker begins an item of its message of `end`; false where that was cut off.  At most
        2**28 - 1 items."""
    def answer(self, slot: int) -> None:
        """The worker has run the item that it began last, and answers."""
    def clear(self, slot: int) -> None: ...

# ---- plain values --------------------------------------------------------------------------

def dumps_plain(obj: object) -> bytes | None:
    """The pickle of a plain value; None for anything else, which is pickle's.

    Plain are None, bool, float, int of 64 bits, str without surrogates and bytes of less than 64 KiB,
    and lists, tuples and dicts of at most 127 of these, in all: exactly of these types.
    """

def loads(data: Any) -> Any:
    """As `pickle.loads`, and quicker for the pickles of plain values."""

# ---- workers ------------------------------------------------------------------------------

@disjoint_base
class TaskGuard:
    """Tells whether a task runs."""

    def __new__(cls) -> Self: ...
    @property
    def inside(self) -> bool: ...
    @inside.setter
    def inside(self, inside: bool) -> None: ...

def serve(
    link: Any,
    guard: TaskGuard,
    most: int | None = None,
    rings: tuple[Ring, Ring, Claims, int] | None = None,
) -> int:
    """A worker's loop: take messages, run their items, answer; gives how many messages there were.

    Ends when it is dismissed, after `most` messages, and where a task comes back in a fork.  It asks
    `link` for messages (`take`), whether an item may be run (`begin`), and to `answer`; over `rings`
    (tasks, answers, claims, the slot in these) for a `function` that is new, to `read` an odd message, to
    answer what needs a reducer; and tells it of messages that are `unread`, and that it will be `idle`.
    Whatever a task raises is its result.
    """

def take_answers(ring: Ring, most: list[int]) -> list[tuple[int, int, int, int, Any]]:
    """Take what is there, at most `most[0]` messages, waiting for none, as ``_flow.channel.Answer``.

    Plain results that were given one by one are opened and go together where they follow each other.
    """

# ---- streams ------------------------------------------------------------------------------

@final
class Relay(Shared):
    """Hands small messages from sender to receiver, beside a stream in one direction, where one looks out.

    What goes by the stream is counted here: by :class:`Stream`, and by who sends or receives without
    it.  While something may lie in the stream, nothing is given.  Not to be pickled: who joins later would
    not count what went before.
    """

    def __new__(cls) -> Self: ...
    def give(self, obj: object, /) -> bool:
        """Give a plain object, see :func:`dumps_plain`; False if nobody looks out, and for any other."""
    def give_bytes(self, data: Any) -> bool:
        """The same with bytes, 432 at most.  Raises as :meth:`Ring.put` for what has no bytes."""
    def catch(self, default: Any, /) -> Any:
        """Look out for an object for some microseconds, where that is worth it; else `default`.

        Raises what rebuilding the object raises, and MemoryError; the message then is gone."""
    def catch_bytes(self) -> bytes | None:
        """The same with the bytes of a message; None if none is given."""
    def count_sent(self) -> None:
        """A message is about to go into the stream."""
    def count_unsent(self) -> None:
        """Nothing of it has."""
    def count_received(self) -> None:
        """A message has come out of the stream."""
    def close(self) -> None:
        """From now on all messages go by the stream: somebody uses that who does not count."""

@final
class Stream:
    """Small messages on a local socket or a pipe, each in one attempt.

    In the form of the standard library's Connection: the length in four bytes, then the message.
    Every method does nothing with other descriptors.  A stream is for one descriptor.
    """

    def __new__(cls, relay: Relay | None = None) -> Self:
        """`relay`: where it is counted what goes by the stream."""
    def send(self, fd: int, data: Any) -> bool:
        """Send `data` whole; False if it is longer than 4,092 bytes, there is no room, or `fd` is no
        pipe, nor a socket of this machine.  Raises as :meth:`Ring.put` for what has no bytes."""
    def receive(self, fd: int) -> bytes | None:
        """The message that is there, or comes in a moment, where looking out for it is worth it (not
        where there is a relay: one looks out there).

        None if there is none, not all of it yet, a longer one, or one was begun: see :meth:`hand_over`."""
    def hand_over(self, head: list[bytes], body: list[bytes]) -> None:
        """Append what was received of a message that was not there whole, its length to `head`."""
