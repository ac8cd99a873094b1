"""A child is killed at a random moment of native work; its parent carries on and gets all back."""

import os
import random
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from procession import _family
from procession.errors import OwnerDiedError
from tests.faults.children import back_to, kill, usage
from tests.kit.running import LONG

ROUNDS = int(os.environ.get("ROUNDS", "25"))
SEED = int(os.environ.get("SEED", os.getpid()))

pytestmark = pytest.mark.limit(180)


@pytest.fixture(autouse=True)
def _told() -> None:
    print(f"SEED={SEED} ROUNDS={ROUNDS}")


def message(number: int, size: int) -> bytes:
    return number.to_bytes(8, "big") + bytes([number % 256]) * size


def number(data: bytes | None) -> int:
    assert data is not None
    found = int.from_bytes(data[:8], "big")
    assert data == message(found, len(data) - 8)
    return found


def drain(ring: _family.Ring) -> list[int]:
    return [number(data) for data in iter(lambda: ring.get(False), None)]


def test_putter() -> None:
    chance = random.Random(SEED)
    before = usage()
    for _ in range(ROUNDS):
        ring, sizes = _family.Ring(), random.Random(chance.random())

        def work(ring: _family.Ring = ring, sizes: random.Random = sizes) -> None:
            for each in count():
                ring.put(message(each, int(sizes.random() ** 4 * 60_000)))

        kill(work, chance)
        got = drain(ring)
        assert got == list(range(len(got)))
        ring.put(b"12345678")
        assert ring.get(False) == b"12345678"
    del ring, work
    back_to(before)


def test_getter() -> None:
    chance = random.Random(SEED)
    before = usage()
    for _ in range(ROUNDS):
        ring, answers = _family.Ring(), _family.Ring()
        ring.put_many([message(each, each * 67 % 40_000) for each in range(200)])

        def work(ring: _family.Ring = ring, answers: _family.Ring = answers) -> None:
            while True:
                answers.put(message(number(ring.get()), 0))

        kill(work, chance)
        answered, left = drain(answers), drain(ring)
        lost = 200 - len(answered) - len(left)
        assert 0 <= lost <= 1, "what the killed taker had just taken"
        assert answered == list(range(len(answered)))
        assert left == list(range(200 - len(left), 200))
    del ring, answers, work
    back_to(before)


def fetched(ring: _family.Ring) -> list[Any]:
    return list(iter(lambda: ring.fetch(None), None))


def test_who_offers_and_who_fetches() -> None:
    chance = random.Random(SEED)
    before = usage()
    for _ in range(ROUNDS):
        ring, answers, sizes = _family.Ring(), _family.Ring(), random.Random(chance.random())

        def offer(ring: _family.Ring = ring, sizes: random.Random = sizes) -> None:
            for each in count():
                assert ring.offer((each, "x" * int(sizes.random() ** 4 * 60_000)))

        def fetch(ring: _family.Ring = ring, answers: _family.Ring = answers) -> None:
            while True:
                each = ring.fetch(None)
                if each is not None:
                    answers.offer(each[0])

        kill(offer, chance)
        kill(fetch, chance)
        taken, left = fetched(answers), [each for each, _ in fetched(ring)]
        assert taken == list(range(len(taken)))
        assert not left or left == list(range(left[0], left[-1] + 1))
        assert not left or 0 <= left[0] - len(taken) <= 1, "what the killed taker had just taken"
        assert ring.offer(1)
        assert ring.fetch(None) == 1
    del ring, answers, offer, fetch
    back_to(before)


@pytest.mark.parametrize("kind", [_family.SEMAPHORE, _family.RECURSIVE_MUTEX])
def test_locker(kind: int) -> None:
    chance = random.Random(SEED)
    before, deaths = usage(), 0
    for _ in range(ROUNDS):
        lock = _family.SemLock(kind, 1, 1, owned=True)

        def work(lock: _family.SemLock = lock) -> None:
            while True:
                with lock:
                    pass

        pid = kill(work, chance)
        try:
            taken = lock.acquire(True, LONG)
        except OwnerDiedError as error:
            assert error.pid == error.tid == pid  # noqa: PT017
            deaths += 1
            taken = lock.acquire(True, LONG)
        assert taken
        lock.release()
    del lock, work
    back_to(before)
    print(f"{deaths} of {ROUNDS} died with the lock")


def make(chance: random.Random) -> object:
    makers: list[Callable[[], object]] = [
        _family.EventWord,
        _family.Ring,
        _family.WaitList,
        lambda: _family.Block(int(chance.random() ** 4 * 1_000_000)),
        lambda: _family.Claims(chance.randrange(1, 100)),
    ]
    return chance.choice(makers)()


def test_maker() -> None:
    chance = random.Random(SEED)
    before = usage()
    for _ in range(ROUNDS):
        own = random.Random(chance.random())

        def work(own: random.Random = own) -> None:
            kept: list[object] = []
            while True:
                kept.append(make(own))
                if own.random() < 0.4:
                    kept.pop(own.randrange(len(kept)))
                if len(kept) > 200:
                    kept.clear()

        kill(work, chance)
    back_to(before)


def test_carrier() -> None:
    chance = random.Random(SEED)
    before = usage()
    for _ in range(ROUNDS):
        ring = _family.Ring()

        def work(ring: _family.Ring = ring) -> None:
            for each in count():
                ring.put(message(each, 3000), carry=[_family.EventWord(), ring])
                if each % 3 == 0:
                    ring.get()

        kill(work, chance)
        while (data := ring.get(False)) is not None:
            number(data)
            event, other = ring.carried()
            _family.EventWord._attach(event).set()
            assert _family.Ring._attach(other).handle == ring.handle
        ring.drop_carried()
    del ring, work
    back_to(before)


def test_claimer() -> None:
    chance = random.Random(SEED)
    before = usage()
    for _ in range(ROUNDS):
        ring, claims = _family.Ring(), _family.Claims(2)
        for each in range(200):
            ring.put(message(each, each * 67 % 20_000), tag=each)

        def work(ring: _family.Ring = ring, claims: _family.Claims = claims) -> None:
            while True:
                ring.get_claimed(claims, 1)
                claims.clear(1)

        kill(work, chance)
        ring.settle()
        claim, left = claims.read(1), drain(ring)
        first = 200 - len(left)
        assert left == list(range(first, 200))
        assert claim is None or claim == (first - 1, 0, False, False, 0)
    del ring, claims, work
    back_to(before)


def test_waiter() -> None:
    chance = random.Random(SEED)
    before = usage()
    for _ in range(ROUNDS):
        waiters = _family.WaitList()

        def work(waiters: _family.WaitList = waiters) -> None:
            while True:
                for ticket in [waiters.enter() for _ in range(40)]:
                    waiters.wait(ticket, 0)

        kill(work, chance)
        ticket = waiters.enter()
        assert waiters.notify() == 1
        assert waiters.wait(ticket, LONG)
        assert waiters.notify(100) == 0
    del waiters, work
    back_to(before)
