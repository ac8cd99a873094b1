"""Who waits, helps: with threads, and a channel that the test fills."""

import queue
import threading
import time
from typing import Any

import pytest

from procession._flow import helping
from procession._flow.helping import Helpers
from procession.errors import ProcessError

LONG = 30.0


class Thing:
    """Something to wait for."""

    done = False


class Mail:
    """What is received says which thing is done."""

    def __init__(self) -> None:
        self.letters: queue.Queue[Thing | None] = queue.Queue()
        self.helpers = Helpers(self.receive, lambda: self.letters.put(None))
        self.receivers: set[int] = set()
        self.most = 0

    def receive(self, timeout: float) -> None:
        self.receivers.add(threading.get_ident())
        self.most = max(self.most, len(self.receivers))
        try:
            thing = self.letters.get(timeout=timeout)
        except queue.Empty:
            return
        finally:
            self.receivers.discard(threading.get_ident())
        if thing is not None:
            thing.done = True
            self.helpers.wake(thing)


def started(target: Any, *args: Any, **options: Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=args, kwargs=options)
    thread.start()
    return thread


def test_each_gets_what_it_waits_for() -> None:
    mail = Mail()
    things = [Thing() for _ in range(10)]
    threads = [started(mail.helpers.wait, thing, LONG) for thing in things]
    for thing, thread in zip(things[::-1], threads[::-1], strict=True):
        mail.letters.put(thing)
        thread.join(LONG)
        assert not thread.is_alive()
    assert mail.most == 1, "one leads, the others sleep"
    assert not mail.helpers._turns
    assert not mail.helpers._lead


def test_time_runs_out() -> None:
    mail = Mail()
    assert not mail.helpers.wait(Thing(), 0.01)
    assert not mail.helpers.wait(Thing(), 0)
    assert not mail.helpers.wait(Thing(), -1)
    leader = started(mail.helpers.wait, leading := Thing(), LONG)
    assert not mail.helpers.wait(Thing(), 0.01)
    mail.letters.put(leading)
    leader.join(LONG)


def test_a_leader_is_woken_by_what_others_do() -> None:
    mail = Mail()
    thing = Thing()
    leader = started(mail.helpers.wait, thing, LONG)
    while not mail.receivers:
        time.sleep(0.001)
    thing.done = True
    mail.helpers.wake(thing)
    leader.join(LONG)
    assert not leader.is_alive()


def test_the_patient_give_way() -> None:
    mail = Mail()
    patient, eager = Thing(), Thing()
    pump = started(mail.helpers.wait, patient, LONG, patient=True)
    while not mail.receivers:
        time.sleep(0.001)
    (first,) = mail.receivers
    caller = started(mail.helpers.wait, eager, LONG)
    while len(mail.helpers._turns) < 2:
        time.sleep(0.001)
    mail.letters.put(None)
    while mail.receivers <= {first}:
        time.sleep(0.001)
    mail.letters.put(patient)
    pump.join(LONG)
    assert not pump.is_alive()
    mail.letters.put(eager)
    caller.join(LONG)
    assert not caller.is_alive()


@pytest.mark.parametrize("patient", [False, True])
def test_when_the_leader_goes_another_leads(patient: bool) -> None:
    mail = Mail()
    first, second = Thing(), Thing()
    leader = started(mail.helpers.wait, first, LONG)
    while not mail.receivers:
        time.sleep(0.001)
    follower = started(mail.helpers.wait, second, LONG, patient=patient)
    while len(mail.helpers._turns) < 2:
        time.sleep(0.001)
    mail.letters.put(first)
    leader.join(LONG)
    mail.letters.put(second)
    follower.join(LONG)
    assert not follower.is_alive()


def test_a_leader_that_left_without_a_word_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helping, "STALE", 0.05)
    mail = Mail()
    gone = helping._Turn(Thing(), False)
    gone.thread = -1
    gone.beat = time.monotonic()
    mail.helpers._lead[0] = gone
    thing = Thing()
    mail.letters.put(thing)
    assert mail.helpers.wait(thing, LONG)


def test_one_thread_may_wait_within_its_wait() -> None:
    mail = Mail()
    outer, inner = Thing(), Thing()
    receive = mail.receive

    def nested(timeout: float) -> None:
        mail.helpers._receive = receive
        mail.letters.put(inner)
        assert mail.helpers.wait(inner, LONG)
        mail.letters.put(outer)

    mail.helpers._receive = nested
    assert mail.helpers.wait(outer, LONG)


def test_in_a_forked_child_nobody_waits() -> None:
    mail = Mail()
    mail.helpers.disown()
    with pytest.raises(ProcessError, match="only the process that made the pool"):
        mail.helpers.wait(Thing())
