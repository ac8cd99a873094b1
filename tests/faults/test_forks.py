"""Forks: what a child has of its parent's objects, also where threads are about."""

import os
import subprocess
import threading
from multiprocessing import resource_tracker
from typing import Any

import pytest

import procession
from procession import _family
from tests.faults.children import back_to, fork, reap, run, usage
from tests.kit import eventually
from tests.kit.running import LONG, in_thread


def test_a_child_uses_what_its_parent_made() -> None:
    ring, event, lock = _family.Ring(), _family.EventWord(), _family.SemLock(1, 1, 1, owned=True)
    ring.put(b"there")

    def work() -> None:
        with lock:
            assert ring.get() == b"there"
            ring.put(b"and back")
        event.set()

    run(work)
    assert event.is_set()
    assert ring.get() == b"and back"


def test_what_the_parent_drops_lives_in_the_child() -> None:
    before = usage()
    things: list[Any] = [_family.EventWord(), _family.Ring(), _family.Block(100_000)]
    links: list[Any] = [_family.EventWord(), _family.Ring()]
    things[1].put(b"kept")

    def work() -> None:
        go, answer = links
        assert go.wait(LONG)
        things[0].set()
        memoryview(things[2])[:] = b"x" * 100_000
        answer.put(things[1].get())

    pid = fork(work)
    things.clear()
    links[0].set()
    assert links[1].get(True, LONG) == b"kept"
    assert reap(pid) == 0
    links.clear()
    back_to(before)


def test_a_recursive_lock_that_the_parent_holds_is_not_the_child_s() -> None:
    lock = _family.SemLock(_family.RECURSIVE_MUTEX, 1, 1)
    lock.acquire()

    def work() -> None:
        assert (lock._is_mine(), lock._count(), lock.acquire(False)) == (False, 0, False)
        with pytest.raises(AssertionError):
            lock.release()

    run(work)
    lock.release()


def test_what_a_thread_of_the_parent_took_is_no_worry_of_the_child() -> None:
    ring, before = _family.Ring(), usage()
    ring.put(b"", carry=[_family.EventWord()])
    taken, go = threading.Event(), threading.Event()
    thread = in_thread(lambda: (ring.get(), taken.set(), go.wait(LONG)))
    taken.wait(LONG)
    run(lambda: (ring.put(b"x"), ring.get(), ring.carried()))
    go.set()
    thread.join()
    back_to(before)


@pytest.mark.limit(120)
def test_forks_while_threads_use_the_heap() -> None:
    before, over = usage(), threading.Event()
    rings = [_family.Ring()]

    def churn() -> None:
        (ring,) = rings
        while not over.is_set():
            things = [_family.EventWord(), _family.Block(300), _family.Ring()]
            ring.put(b"x" * 5000, True, None, 0, things)
            ring.get(False)

    threads = [in_thread(churn) for _ in range(3)]
    for _ in range(60):
        run(lambda: (_family.Block(100), rings[0].put(b"y"), rings[0].get(False), _family.Ring().put(b"z")))
    over.set()
    for thread in threads:
        thread.join()
    rings.clear()
    back_to(before)


def test_forks_in_several_threads_at_once() -> None:
    before = usage()

    def forker() -> None:
        for _ in range(15):
            run(lambda: _family.Block(100))

    threads = [in_thread(forker) for _ in range(3)]
    for thread in threads:
        thread.join()
    back_to(before)


def test_another_program_is_no_member_and_holds_nothing() -> None:
    before = usage()
    event = _family.EventWord()
    members = len(_family.members())
    # With preexec_fn the child is forked with all that comes with it, then runs the program.
    process = subprocess.Popen(["sleep", "100"], preexec_fn=os.getpid)  # noqa: PLW1509
    try:
        assert eventually(lambda: len(_family.members()) == members)
        del event
        back_to(before)
    finally:
        process.kill()
        process.wait()


def test_a_child_s_child_and_its_orphan() -> None:
    before = usage()
    rings = [_family.Ring(), _family.Ring()]

    def work() -> None:
        pid = fork(lambda: (rings[1].put(b"child's child"), rings[0].get(True, LONG)))
        rings[1].put(pid.to_bytes(8, "big"))

    run(work)
    messages = {rings[1].get(True, LONG), rings[1].get(True, LONG)}
    (orphan,) = messages - {b"child's child"}
    assert orphan is not None
    rings[0].put(b"go")
    # Orphans come to the tests' own process.
    assert eventually(lambda: os.waitpid(int.from_bytes(orphan, "big"), os.WNOHANG) != (0, 0))
    rings.clear()
    back_to(before)


def start_one(method: str) -> None:
    process = procession.get_context(method).Process(target=int)
    process.start()
    process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_fork_within_a_start_of_another_thread_can_start_processes(method: str) -> None:
    start_one(method)
    begun, over = threading.Event(), threading.Event()

    def hold() -> None:
        # As a start does for a moment.
        with resource_tracker._resource_tracker._lock:  # type: ignore[attr-defined]
            begun.set()
            over.wait(LONG)

    thread = in_thread(hold)
    begun.wait(LONG)
    try:
        run(lambda: start_one(method))
    finally:
        over.set()
        thread.join()
