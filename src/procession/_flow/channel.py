"""The contract of a way to workers and back, and of a worker as its pool sees it.

A channel is one pool's.  Its two ends: `Channel`, in the process that has the pool, and one `Link`
for each worker.  There are two kinds, over rings to processes and over queues to threads; tests run
on both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from threading import RLock
from typing import Any, NamedTuple, Protocol

from .._family import TaskGuard
from .task import Call

Answer = tuple[int, int, int, int, Any]
"""(mid, first, count, kind, body): `count` results of message `mid`, from its item `first` on.

What is in the body only the channel knows: it opens it, which may run anybody's code.  mid 0 is no
message's number: the answer is a note from worker number `first`.  Plain tuples, here and below, since
one is made a message.
"""
KIND, BODY = 3, 4

Opened = tuple[Sequence[Any], dict[int, BaseException]]
"""What is in an answer: as many values as it counts, None where the dictionary has an error."""

Taken = dict[int, list[Any]]
"""What of an answer was taken that can be taken but once, by number of result."""

Message = tuple[int, int, int, Callable[..., Any], Sequence[Any]]
"""What a worker takes: (mid, mode, prompt, function, items); see Call."""

Batch = tuple[Sequence[Answer], Any]
"""What a receiver gets: answers, oldest first, and what must be held until they are opened, or None."""

RESULTS = 0
"""Kind of an answer: results.  Channels may have more of the sort, above ODD."""
UNREAD = 1
"""The worker could not unpickle the message; it holds one error, and nothing was run."""
READY = 2
"""A note: the worker has started well."""
FAILED = 3
"""A note: the worker ends, having not even started well; it holds the error."""
NUDGE = 4
"""About nothing."""
ODD = 4
OPEN = 7
"""Results that were opened when they were received: the body is the list of them."""


class Whole:
    """An answer that is open already."""

    __slots__ = ("_opened",)

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def open(self) -> Opened:
        """As from `Channel.open`."""
        return self._opened


class Held(Whole):
    """An answer with what it must not lose before it is opened, which can be done but once."""

    __slots__ = ("_answer", "_channel", "_hold", "_lock", "_openeds", "_taken")

    def __init__(self, channel: Channel, answer: Any, hold: Any) -> None:
        self._channel = channel
        self._answer = answer
        self._hold = hold
        self._lock = RLock()
        self._openeds: list[Opened] = []
        self._taken: Taken = {}

    def open(self) -> Opened:
        """See Whole.  Whoever asks, and how often: all get the same."""
        with self._lock:
            if not self._openeds:
                # Where a signal handler raises in the midst of it, what was taken stays with us.
                self._openeds.append(self._channel.open(self._answer, self._taken))
            self._answer = self._hold = None
            self._taken = {}
            return self._openeds[0]


class Failed(Whole):
    """An answer that no worker gave: one error in the place of results."""

    __slots__ = ()

    def __init__(self, error: BaseException) -> None:
        super().__init__(((None,), {0: error}))


class Claim(NamedTuple):
    """What a worker had in hand: item `begun` of a message, if it had begun one (`runs`).

    It would have gone on to item `end`, which is known only then.  `answers`: it had run the item, and was
    answering more than that one.
    """

    mid: int
    begun: int
    runs: bool
    answers: bool = False
    end: int = 0


Cut = tuple[int, int, int]
"""Items `first` to `end` of message `mid`, as (mid, first, end), which are no worker's any more."""


class Channel(ABC):
    """The pool's end.  Any thread may call any of it at any time."""

    @abstractmethod
    def prepare(self, call: Call, *, once: bool) -> None:
        """Make the call's function ready to be sent, `once` or with many messages.

        Raises TransferError, or what the function's own pickling raised.
        """

    @abstractmethod
    def send(self, mid: int, call: Call, items: Sequence[Any], index: int) -> None:
        """Hand a message to whichever worker is free first; `index` is the number of the first item.

        Raises what pickling raises (TransferError and others), or MemoryError; nothing is sent then.
        """

    @abstractmethod
    def receive(self, inbox: deque[Batch], timeout: float) -> None:
        """Append the oldest answers to `inbox`, waiting for them up to `timeout` seconds.

        The batch may be empty.  An answer is either in the channel or in the inbox, whatever signal
        handler raises meanwhile.
        """

    @abstractmethod
    def backlog(self) -> int:
        """How many answers wait to be received."""

    @abstractmethod
    def open(self, answer: Answer, taken: Taken | None = None) -> Opened:
        """Unpickle an answer.

        Raises nothing that unpickling raises, which is among the errors, only what a signal handler
        does meanwhile.  Then it can be done again; of an answer that carried something, with the same
        `taken`, empty at first.
        """

    @abstractmethod
    def nudge(self) -> None:
        """Make the receive that is under way, or the next one, get an answer about nothing."""

    @abstractmethod
    def dismiss(self, workers: int) -> None:
        """Have so many workers, whichever take the word first, end."""

    @abstractmethod
    def discard(self) -> None:
        """Throw away what no worker has taken yet."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what the channel holds.  Nothing comes or goes any more; `open` goes on to work."""

    @abstractmethod
    def link(self, slot: int, number: int) -> Link:
        """The end for worker `number`, the only one to use `slot` at a time."""

    @abstractmethod
    def claim(self, slot: int) -> Claim | None:
        """What the worker of this slot has in hand, or had when it died."""

    @abstractmethod
    def is_drained(self) -> bool:
        """Have workers taken all that was sent?"""

    @abstractmethod
    def cut(self, cuts: deque[Cut], wanted: Sequence[tuple[int, int, int]]) -> None:
        """Take away from workers what they have not begun, and append that to `cuts`.

        `wanted`: (slot, mid, unit); whole units are taken, if the slot's worker has that message and
        goes on.  A cut is either not made or in `cuts`, whatever signal handler raises meanwhile.
        """


def opener(channel: Channel) -> Callable[[Any], Opened]:
    """What opens answers of all kinds."""

    def opened(answer: Any) -> Opened:
        return channel.open(answer) if type(answer) is tuple else answer.open()

    return opened


def shift(queue: deque[Any], first: Any) -> None:
    """`first` of an inbox or of cuts has been worked off; perhaps by somebody else, too, who did this."""
    if queue and queue[0] is first:
        queue.popleft()


class Link(ABC):
    """A worker's end."""

    @abstractmethod
    def serve(self, guard: TaskGuard, most: int | None) -> int:
        """Take messages, run their items and answer, until dismissed or after `most` messages.

        Gives how many there were.  `guard.inside` is true while a task runs.
        """

    @abstractmethod
    def answer(self, mid: int, first: int, values: list[Any], errors: dict[int, BaseException]) -> None:
        """Results of items from `first` on.  What cannot travel is answered by an error that says so.

        The list is the link's from then on, and who did the work forgets these items and results.
        """

    @abstractmethod
    def ready(self) -> None:
        """Tell that the worker has started well."""

    @abstractmethod
    def failed(self, error: BaseException) -> None:
        """Tell that the worker will end, having not even started well."""


class Worker(Protocol):
    """A worker as its pool sees it: a process object, or a thread in its clothes."""

    name: str

    @property
    def exitcode(self) -> int | None:
        """None while it lives; then negative for a signal."""

    def start(self) -> None:
        """Start it."""

    def is_alive(self) -> bool:
        """Has it started and not ended?"""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""


class Mortal(Worker, Protocol):
    """A worker that can die, and be killed."""

    @property
    def pid(self) -> int | None:
        """Its process id."""

    @property
    def sentinel(self) -> int:
        """A descriptor that is readable once it has ended."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""


Hire = Callable[[Link], Any]
"""Makes a worker on a link, a `Worker` not yet started."""

Notes = Callable[[int, Any], None]
"""Called, at any moment, with the number of a worker that started well, and None; or, if it did not,
with the answer that holds the error."""

Workers = Iterable[Any]
