"""Process objects under every start method: what they do."""

import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import weakref
from multiprocessing import connection
from typing import Any

import pytest

import procession

LONG = 30.0
"""A bound against hanging, in seconds."""


def nothing(*_args: Any, **_options: Any) -> None:
    pass


def leave(status: Any) -> None:
    sys.exit(status)


def fail() -> None:
    raise ValueError("deliberate")


def wait_on(event: Any) -> None:
    event.wait(LONG)


def say_ready_and_sleep(ready: Any) -> None:
    ready.set()
    time.sleep(LONG)


def tell(end: Any, *args: Any, **options: Any) -> None:
    end.send((args, options))
    end.close()


def tell_who(end: Any) -> None:
    me, parent = procession.current_process(), procession.parent_process()
    assert parent is not None
    end.send(
        {
            "pid": os.getpid(),
            "seen": (me.name, me.pid, me.daemon, me.exitcode, me.is_alive(), bytes(me.authkey), me._identity),
            "parent": (parent.name, parent.pid, parent.is_alive()),
            "children": procession.active_children(),
            "stdlib's": multiprocessing.current_process() is me,
            "method": procession.get_start_method(),
        }
    )


def asked(ctx: Any, target: Any, **options: Any) -> Any:
    """What the child that runs `target` sends."""
    mine, theirs = multiprocessing.Pipe()
    child = ctx.Process(target=target, args=(theirs,), **options)
    child.start()
    theirs.close()
    try:
        return mine.recv()
    finally:
        mine.close()
        child.join(LONG)


def run(ctx: Any, target: Any, *args: Any, **options: Any) -> Any:
    """The process that has run `target` to its end."""
    child = ctx.Process(target=target, args=args, **options)
    child.start()
    child.join(LONG)
    return child


# ---- the documented life -------------------------------------------------------------------


def test_a_life(ctx: Any) -> None:
    stop = ctx.Event()
    child = ctx.Process(target=wait_on, args=(stop,), name="worker", daemon=True)
    assert (child.name, child.pid, child.exitcode, child.is_alive()) == ("worker", None, None, False)
    assert "initial" in repr(child)
    child.start()
    assert child.pid == child.ident != os.getpid()
    assert child.is_alive()
    assert child.exitcode is None
    assert child in procession.active_children()
    assert "started" in repr(child)
    child.join(0.01)
    assert child.is_alive()
    stop.set()
    child.join(LONG)
    assert (child.exitcode, child.is_alive(), child.start_error) == (0, False, None)
    assert child not in procession.active_children()
    child.close()


@pytest.mark.parametrize(
    ("target", "args", "code"),
    [
        (nothing, (), 0),
        (leave, (0,), 0),
        (leave, (None,), 0),
        (leave, (7,), 7),
        (leave, ("text",), 1),
        (fail, (), 1),
    ],
)
def test_exit_codes(ctx: Any, target: Any, args: Any, code: int) -> None:
    assert run(ctx, target, *args).exitcode == code


@pytest.mark.parametrize(
    ("verb", "code"), [("terminate", -signal.SIGTERM), ("kill", -signal.SIGKILL), ("interrupt", 1)]
)
def test_signals(ctx: Any, verb: str, code: int) -> None:
    ready = ctx.Event()
    child = ctx.Process(target=say_ready_and_sleep, args=(ready,))
    child.start()
    assert ready.wait(LONG)
    getattr(child, verb)()
    child.join(LONG)
    assert child.exitcode == code
    getattr(child, verb)()  # it has ended: nothing happens


def test_the_child_knows_who_it_is(ctx: Any, method: str) -> None:
    told = asked(ctx, tell_who, name="it", daemon=True)
    identity = told["seen"][-1]
    key = bytes(procession.current_process().authkey)
    assert told["seen"] == ("it", told["pid"], True, None, True, key, identity)
    assert len(identity) == 1
    assert told["parent"] == (procession.current_process().name, os.getpid(), True)
    assert told["children"] == []
    assert told["stdlib's"]
    assert told["method"] == method


def test_positional_and_keyword_arguments(ctx: Any) -> None:
    mine, theirs = multiprocessing.Pipe()
    child = ctx.Process(target=tell, args=(theirs, 1, "two"), kwargs={"three": [3]})
    child.start()
    assert mine.recv() == ((1, "two"), {"three": [3]})
    child.join(LONG)
    mine.close()
    theirs.close()


def test_run_may_be_overridden(method: str) -> None:
    mine, theirs = multiprocessing.Pipe()
    child = OVERRIDING[method](theirs)
    child.start()
    assert mine.recv() == "it ran"
    child.join(LONG)
    mine.close()
    theirs.close()


class _Overriding:
    def __init__(self, end: Any) -> None:
        self.end = end
        super().__init__()

    def run(self) -> None:
        self.end.send("it ran")


class ForkOverriding(_Overriding, procession.get_context("fork").Process):
    pass


class SpawnOverriding(_Overriding, procession.get_context("spawn").Process):
    pass


class ForkServerOverriding(_Overriding, procession.get_context("forkserver").Process):
    pass


OVERRIDING = {"fork": ForkOverriding, "spawn": SpawnOverriding, "forkserver": ForkServerOverriding}


def test_daemons_are_inherited_and_have_no_children(ctx: Any) -> None:
    assert "daemonic processes are not allowed" in asked(ctx, try_to_start, daemon=True)


def try_to_start(end: Any) -> None:
    child = procession.Process(target=nothing)
    assert child.daemon
    try:
        child.start()
    except AssertionError as error:
        end.send(str(error))


def test_children_of_children(ctx: Any) -> None:
    assert asked(ctx, ask_grandchild) == [0, True]


def ask_grandchild(end: Any) -> None:
    told = asked(procession.get_context(), tell_who)
    end.send([len(procession.active_children()), told["parent"][1] == os.getpid()])


# ---- waiting -------------------------------------------------------------------------------


def test_a_ready_sentinel_means_that_join_returns(ctx: Any) -> None:
    stop = ctx.Event()
    children = [ctx.Process(target=wait_on, args=(stop,)) for _ in range(3)]
    for child in children:
        child.start()
    assert connection.wait([child.sentinel for child in children], timeout=0.05) == []
    stop.set()
    for child in children:
        assert connection.wait([child.sentinel], LONG) == [child.sentinel]
        child.join(0)
        assert child.exitcode == 0


def test_joining_from_many_threads(ctx: Any) -> None:
    stop = ctx.Event()
    child = ctx.Process(target=wait_on, args=(stop,))
    child.start()
    codes: list[Any] = []

    def join() -> None:
        child.join(LONG)
        codes.append(child.exitcode)

    threads = [threading.Thread(target=join) for _ in range(8)]
    for thread in threads:
        thread.start()
    stop.set()
    for thread in threads:
        thread.join(LONG)
    assert codes == [0] * 8


def test_eight_threads_start_and_join_at_once(ctx: Any) -> None:
    wrong: list[Any] = []
    gate = threading.Barrier(8)

    def work() -> None:
        gate.wait(LONG)
        for number in range(5):
            child = run(ctx, leave, number)
            if (child.exitcode, child.is_alive()) != (number, False):
                wrong.append(child)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert wrong == []
    assert procession.active_children() == []


def test_a_stopped_child_hinders_nobody(ctx: Any) -> None:
    ready = ctx.Event()
    child = ctx.Process(target=say_ready_and_sleep, args=(ready,))
    child.start()
    assert ready.wait(LONG)
    os.kill(child.pid, signal.SIGSTOP)
    child.join(0.05)
    assert child.is_alive()
    assert run(ctx, nothing).exitcode == 0
    child.kill()
    child.join(LONG)
    assert child.exitcode == -signal.SIGKILL


# ---- what is given to a process ------------------------------------------------------------


def test_a_temporary_argument_lives_until_the_child_has_it(ctx: Any) -> None:
    child = ctx.Process(target=use_lock, args=(ctx.Lock(), multiprocessing.get_context("spawn").Lock()))
    child.start()
    gc.collect()
    child.join(LONG)
    assert child.exitcode == 0


def use_lock(*locks: Any) -> None:
    for lock in locks:
        with lock:
            pass


def test_what_was_given_is_let_go(ctx: Any) -> None:
    thing = Thing()
    seen = weakref.ref(thing)
    stop = ctx.Event()
    child = ctx.Process(target=wait_on, args=(stop,), kwargs={}, name="holder")
    child._thing = thing
    del child._thing
    other = ctx.Process(target=nothing, args=(thing,))
    del thing
    child.start()
    other.start()
    other.join(LONG)
    gc.collect()
    assert seen() is None
    stop.set()
    child.join(LONG)


class Thing:
    pass


def test_objects_of_the_stdlib(ctx: Any, method: str) -> None:
    std = multiprocessing.get_context(method)
    queue, lock, event = std.SimpleQueue(), std.Lock(), std.Event()
    child = run(ctx, use_stdlib, queue, lock, event)
    assert child.exitcode == 0
    assert queue.get() == "from the child"
    assert event.is_set()
    queue.close()


def use_stdlib(queue: Any, lock: Any, event: Any) -> None:
    with lock:
        event.set()
    queue.put("from the child")


def test_sockets(ctx: Any) -> None:
    mine, theirs = socket.socketpair()
    child = ctx.Process(target=greet, args=(theirs,))
    child.start()
    theirs.close()
    mine.settimeout(LONG)
    assert mine.recv(100) == b"hello"
    mine.close()
    child.join(LONG)


def greet(end: socket.socket) -> None:
    end.sendall(b"hello")


def test_lambdas_and_closures(ctx: Any) -> None:
    number = 5
    child = ctx.Process(target=lambda: sys.exit(number))
    child.start()
    child.join(LONG)
    assert child.exitcode == 5
