"""What shall work anywhere: shared objects in tasks and queues of any context, functions of any origin."""

import os
import socket
from typing import Any

import pytest

import procession
from procession.connection import Client, Listener
from tests.kit import eventually, run_python, run_script
from tests.kit.running import LONG, end, start
from tests.pools import pid

METHODS = ["fork", "spawn", "forkserver"]

# ---- shared objects ----------------------------------------------------------------------------


def made(ctx: Any) -> dict[str, Any]:
    """One of each kind; a condition and a barrier have locks of their own inside."""
    return {
        "lock": ctx.Lock(),
        "rlock": ctx.RLock(),
        "semaphore": ctx.Semaphore(1),
        "bounded": ctx.BoundedSemaphore(1),
        "event": ctx.Event(),
        "condition": ctx.Condition(),
        "barrier": ctx.Barrier(1),
        "queue": ctx.Queue(),
        "joinable": ctx.JoinableQueue(),
        "simple": ctx.SimpleQueue(),
        "value": ctx.Value("i", 5),
        "array": ctx.Array("i", [1, 2]),
        "raw": ctx.RawValue("i", 5),
    }


def use(things: dict[str, Any]) -> int:
    """In another process: change each of them."""
    for name in ("lock", "rlock", "semaphore", "bounded"):
        with things[name]:
            pass
    things["event"].set()
    with things["condition"]:
        things["condition"].notify_all()
    things["barrier"].wait(LONG)
    for name in ("queue", "joinable", "simple"):
        things[name].put(os.getpid())
    with things["value"]:
        things["value"].value += 1
    things["array"][0] = 7
    things["raw"].value = 8
    return os.getpid()


def check(things: dict[str, Any], other: int) -> None:
    """What `use` did is seen here."""
    for name in ("lock", "rlock", "semaphore", "bounded"):
        assert things[name].acquire(timeout=LONG)
        things[name].release()
    assert things["event"].is_set()
    for name in ("queue", "joinable", "simple"):
        assert things[name].get() == other
        things[name].close()
    assert (things["value"].value, things["array"][:], things["raw"].value) == (6, [7, 2], 8)


def use_next(queue: Any, answers: Any) -> None:
    answers.put(use(queue.get()))


@pytest.mark.parametrize("other", METHODS)
def test_shared_objects_go_to_tasks_of_a_running_pool_of_any_context(ctx: Any, other: str) -> None:
    with procession.get_context(other).Pool(1) as pool:
        worker = pool.apply(pid)
        things = made(ctx)
        assert pool.apply(use, (things,)) == worker
        check(things, worker)
    pool.join()


@pytest.mark.parametrize("other", METHODS)
def test_shared_objects_go_through_queues_of_any_context(ctx: Any, other: str) -> None:
    elsewhere = procession.get_context(other)
    queue, answers = elsewhere.Queue(), ctx.SimpleQueue()
    process = start(elsewhere, use_next, queue, answers)
    things = made(ctx)
    queue.put(things)
    check(things, answers.get())
    end(process)
    queue.close()
    answers.close()


# ---- functions of any origin -------------------------------------------------------------------

ORIGINS = """
import procession
pool = procession.get_context({method!r}).Pool(2)
begun = pool.map(abs, range(4), 1)
def later(x): return x + 1

print(pool.map(later, [1, 2]))
def later(x): return x * 10

print(pool.map(later, [1, 2]), pool.apply(later, (3,)), list(pool.imap(later, [4])))
def outer(by):
    def local(x): return x + by
    return local

print(pool.map(outer(5), [1]), pool.map(lambda x: -x, [1]))
class Point:
    def __init__(self, x): self.x = x
    def up(self): self.x += 1; return self
    def same(self, other): return type(other) is type(self), type(other) is Point

print(pool.apply(Point(1).up).x, type(pool.apply(Point(1).up)) is Point)
print(pool.apply(Point(1).same, (Point(2),)))
pool.terminate()
pool.join()
state = "fresh"
def prepare(value):
    global state, Made
    state = value
    class Made: pass

def tell(): return state, type(Made()) is Made

with procession.get_context({method!r}).Pool(1, prepare, ("set",)) as pool:
    print(pool.apply(tell), pool.apply(lambda: state), state)

"""
TOLD = """\
[2, 3]
[10, 20] 30 [40]
[6] [-1]
2 True
(True, True)
('set', True) set fresh
"""


@pytest.mark.parametrize("origin", ["script", "stdin", "dash c", "prompt", "notebook"])
def test_functions_that_no_child_can_import(method: str, origin: str) -> None:
    program = ORIGINS.format(method=method)
    if origin == "script":
        result = run_script(program)
    elif origin == "stdin":
        result = run_python("-", stdin=program)
    elif origin == "dash c":
        result = run_python("-c", program)
    elif origin == "prompt":
        result = run_python("-i", "-q", stdin=program)
    else:
        result = run_script(NOTEBOOK.format(program))
    assert result.check().stdout == TOLD


NOTEBOOK = """
import sys, types
main = sys.modules["__main__"] = types.ModuleType("__main__")
for number, cell in enumerate({!r}.split("\\n\\n")):
    exec(compile(cell, f"/tmp/ipykernel_1/{{number}}.py", "exec"), vars(main))
"""

# ---- descriptors -------------------------------------------------------------------------------


def sockets() -> set[str]:
    """Sockets and pipes that this process holds."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue  # the one by which the folder was read
    return {name for name in found if name.startswith(("socket:", "pipe:"))}


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_no_child_holds_a_socket_or_pipe_of_its_parent(method: str) -> None:
    ctx = procession.get_context(method)
    ends = os.pipe()
    with socket.socket() as listening, Listener(("127.0.0.1", 0)) as listener, ctx.Pool(2) as pool:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        names = {os.readlink(f"/proc/self/fd/{fd}") for fd in (*ends, listening.fileno())}
        accepting = listener._listener._socket.fileno()  # type: ignore[attr-defined]
        names.add(os.readlink(f"/proc/self/fd/{accepting}"))
        # Also of what a child is started with later.
        pool._repopulate_pool()
        assert names <= sockets()
        for found in pool.map(sockets_of, range(8), 1):
            assert not names & found
        address = listener.address
    pool.join()
    for fd in ends:
        os.close(fd)
    with pytest.raises(ConnectionRefusedError):
        Client(address)


def sockets_of(_: int) -> set[str]:
    return sockets()


def test_a_joined_pool_holds_no_descriptor(ctx: Any) -> None:
    with ctx.Pool(1) as first:  # what stays in this process once it has had workers
        first.apply(abs, (1,))
    first.join()
    before = descriptors()
    pool = ctx.Pool(3)
    results = pool.map_async(abs, range(10), 1, callback=id)
    stream = pool.imap(abs, iter(range(10)))
    assert results.get(LONG) == [next(stream) for _ in range(10)]
    pool.terminate()
    pool.join()
    eventually(lambda: descriptors() <= before)
    assert repr(pool), "it is still there"


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))
