"""Pools: each task is answered exactly once, by its result or by WorkerLostError."""

import random
import threading
import time
from collections import deque
from multiprocessing import ProcessError, TimeoutError
from typing import Any

from procession.errors import WorkerLostError

from .tally import LONG, Tally

AHEAD = 40
"""Tasks that are under way at most."""


def task(number: int) -> tuple[int, bytes]:
    """Some milliseconds of work, and an answer, which is large now and then."""
    time.sleep(number % 7 / 1000)
    return number, bytes(number % 50 * (4000 if number % 11 == 0 else 1))


def is_right(number: int, answer: Any) -> bool:
    """Is it the answer to this task?"""
    return bool(answer[0] == number and len(answer[1]) == number % 50 * (4000 if number % 11 == 0 else 1))


class Pools(threading.Thread):
    """One pool after the other, each fed by single tasks and by a stream, then closed or terminated."""

    def __init__(self, ctx: Any, tally: Tally, seed: float, workers: int) -> None:
        super().__init__()
        self._ctx, self._tally, self._chance, self._workers = ctx, tally, random.Random(seed), workers
        self._over = threading.Event()

    def run(self) -> None:
        """Until told to stop."""
        with self._tally.unforeseen("pool"):
            while not self._over.is_set():
                self._live(self._chance.uniform(1, 6), self._chance.random() < 0.5)
                self._tally.count("pools")

    def stop(self) -> None:
        """The last pool ends in its own time."""
        self._over.set()
        self.join()

    def _live(self, seconds: float, orderly: bool) -> None:
        pool = self._ctx.Pool(self._workers, maxtasksperchild=self._chance.choice([None, 50]))
        until = time.monotonic() + seconds
        stream = threading.Thread(target=self._stream, args=(pool, until))
        stream.start()
        pending = self._apply(pool, until)
        stream.join()
        pool.close() if orderly else pool.terminate()
        ending = threading.Thread(target=pool.join)
        ending.start()
        ending.join(LONG)
        self._tally.expect(not ending.is_alive(), "a pool does not end")
        for number, result in pending:
            self._check(number, result, ended=not orderly)

    def _goes_on(self, until: float) -> bool:
        return time.monotonic() < until and not self._over.is_set()

    def _apply(self, pool: Any, until: float) -> list[tuple[int, Any]]:
        pending: deque[tuple[int, Any]] = deque()
        answers: list[None] = []
        asked = 0

        def count(_: object) -> None:
            answers.append(None)

        while self._goes_on(until):
            while len(pending) < AHEAD:
                pending.append((asked, pool.apply_async(task, (asked,), {}, count, count)))
                asked += 1
            self._check(*pending.popleft())
        # Callbacks run in a thread of the pool's, in no order that we know.
        self._tally.expect(len(answers) <= asked, f"{len(answers)} answers to {asked} tasks")
        return list(pending)

    def _check(self, number: int, result: Any, ended: bool = False) -> None:
        try:
            answer = result.get(LONG)
        except WorkerLostError:
            self._tally.count("tasks lost")
        except TimeoutError:
            self._tally.expect(False, f"task {number} is not answered")
        except ProcessError as error:
            self._tally.count("tasks ended with their pool")
            self._tally.expect(ended, f"task {number}: {error!r}")
        else:
            self._tally.count("tasks answered")
            self._tally.expect(is_right(number, answer), f"task {number} has the answer of another")

    def _stream(self, pool: Any, until: float) -> None:
        with self._tally.unforeseen("stream"):
            while self._goes_on(until):
                self._stream_once(pool, 200)

    def _stream_once(self, pool: Any, count: int) -> None:
        stream = pool.imap_unordered(task, range(count))
        seen: list[int] = []
        lost = 0
        while True:
            try:
                seen.append(stream.next(LONG)[0])
            except WorkerLostError as error:
                if error.pid is None:
                    # A dozen in a row were killed before they had started: the machine is overloaded.
                    self._tally.count("pools broken")
                    return
                lost += 1
            except StopIteration:
                break
        self._tally.count("tasks answered", len(seen))
        self._tally.count("tasks lost", lost)
        self._tally.expect(len(seen) == len(set(seen)), f"answered twice: {sorted(seen)}")
        self._tally.expect(len(seen) + lost == count, f"{len(seen)} answers, {lost} losses of {count}")
