"""Locks: one at a time, a dead holder is told once, and each is free in the end."""

import random
import threading
import time
from contextlib import contextmanager
from typing import Any

from procession.errors import OwnerDiedError
from procession.sharedctypes import RawArray
from procession.synchronize import Condition, Event, Lock, RLock

from .crew import Crew
from .tally import LONG, Tally

INSIDE, TOLD, ROUNDS, BROKEN, NOTES = range(5)
"""Words beside each lock: who is inside, deaths told, rounds, times that two were inside, notifications."""


@contextmanager
def held(lock: Any, words: Any, me: int) -> Any:
    """With the lock, which a dead one may have left."""
    while True:
        try:
            lock.acquire()
            break
        except OwnerDiedError:
            # Whoever comes next may be inside already; what the dead left is overwritten by it.
            words[TOLD] += 1
    try:
        inside = words[INSIDE]
        words[INSIDE] = me
        yield inside
        if words[INSIDE] != me:
            words[BROKEN] += 1
        words[INSIDE] = 0
        words[ROUNDS] += 1
    finally:
        lock.release()


def take(over: Any, locks: Any, words: Any, cond: Any, event: Any, number: int) -> None:
    """Take locks in order, wait on the condition for a moment, notify, pulse the event."""
    chance, me = random.Random(number), number + 1
    while not over.is_set():
        first, second = sorted(chance.sample(range(len(locks)), 2))
        with held(locks[first], words[first], me), held(locks[second], words[second], me):
            time.sleep(chance.random() ** 6 * 0.02)
        try:
            with cond:
                cond.notify() if chance.random() < 0.5 else cond.wait(0.02)
        except OwnerDiedError:
            pass
        event.set() if chance.random() < 0.2 else event.wait(0.01)
        event.clear()


class Locks:
    """Some who take two of four locks each."""

    def __init__(self, ctx: Any, tally: Tally) -> None:
        self._tally = tally
        self._locks = [Lock(), RLock(), Lock(), RLock()]
        self._words = [RawArray("i", 5) for _ in self._locks]
        self._cond, self._event = Condition(), Event()
        work = (self._locks, self._words, self._cond, self._event)
        self._takers = Crew(ctx, tally, "taker", 3, take, *work)
        self.start = self._takers.start

    def stop(self) -> None:
        """End; each lock must be free, but for one death that nobody was told of yet."""
        self._takers.stop()
        with self._tally.unforeseen("locks"):
            for lock in [*self._locks, self._cond]:
                self._free(lock)
            for words in self._words:
                self._tally.expect(words[BROKEN] == 0, f"two were inside, {words[BROKEN]} times")
                self._tally.count("locks taken", words[ROUNDS])
                self._tally.count("locks of the dead", words[TOLD])
            self._notify()

    def _free(self, lock: Any) -> None:
        try:
            taken = lock.acquire(timeout=LONG)
        except OwnerDiedError:
            self._tally.count("locks of the dead")
            taken = lock.acquire(timeout=LONG)
        self._tally.expect(taken, f"{lock} is not free")
        lock.release()

    def _notify(self) -> None:
        """Whoever waits now is woken, whatever the dead left in the lists."""
        woken, sleeping = threading.Event(), threading.Event()

        def sleep() -> None:
            with self._cond:
                sleeping.set()
                if self._cond.wait(LONG) and self._event.wait(LONG):
                    woken.set()

        sleeper = threading.Thread(target=sleep)
        sleeper.start()
        sleeping.wait()
        with self._cond:
            self._cond.notify()
        self._event.set()
        sleeper.join()
        self._tally.expect(woken.is_set(), "a notification or an event did not wake who waited")
