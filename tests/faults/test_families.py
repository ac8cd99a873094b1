"""Families of processes: parents that die, signals, Ctrl-C, forks and reapers by other hands.

Each program runs in a session of its own; whoever is left of it fails the test.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kit import alive, eventually, run_script
from tests.kit import proc as kit
from tests.kit.running import LONG, end, start

SECONDS = 5.0
"""What may go by until all are gone: promised to users."""

# ---- the parent is killed --------------------------------------------------------------------

WHOLE_FAMILY = r"""
import os, sys, time
import procession

def tell(name, pid=None):
    os.write(1, f"{name} {pid or os.getpid()}\n".encode())  # in one piece

def rest(name):
    tell(name)
    time.sleep(100)

def with_children(method):
    tell("branch")
    context = procession.get_context(method)
    context.Process(target=rest, args=("leaf",), daemon=True).start()
    with context.Pool(1) as pool:
        pool.map(rest, ["grandchild"])

if __name__ == "__main__":
    context = procession.get_context(sys.argv[1])
    context.Process(target=rest, args=("daemon",), daemon=True).start()
    context.Process(target=with_children, args=(sys.argv[1],)).start()
    manager = context.Manager()
    shared = manager.dict()
    tell("manager", manager._process.pid)
    with context.Pool(2) as pool:
        pool.map(rest, ["worker", "worker"], chunksize=1)
"""


class Program:
    """A program in a session of its own, which names its processes on the standard output."""

    def __init__(self, path: Path, text: str, *words: str) -> None:
        path.write_text(text, encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, str(path), *words], stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def pids(self, count: int) -> dict[str, int]:
        """The next names that it says; two of the same are told apart by a number."""
        assert self.process.stdout is not None
        named: dict[str, int] = {}
        for _ in range(count):
            name, pid = self.process.stdout.readline().split()
            named[name if name not in named else f"{name} {len(named)}"] = int(pid)
        return named

    def end(self) -> None:
        kit.end(kit.in_session(self.process.pid))
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def program(path: Path, text: str, *words: str) -> Iterator[Program]:
    it = Program(path / "program.py", text, *words)
    try:
        yield it
    finally:
        it.end()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_parent_takes_workers_managers_and_daemons_with_it(
    tmp_path: Path, method: str, number: signal.Signals
) -> None:
    with program(tmp_path, WHOLE_FAMILY, method) as parent:
        family = parent.pids(7)
        branch = family.pop("branch")
        below = {name: family.pop(name) for name in ("leaf", "grandchild")}
        parent.process.send_signal(number)
        parent.process.wait()
        eventually(lambda: not any(map(alive, family.values())), SECONDS)
        # No daemon: it lives on, and with it what it has started.
        assert all(map(alive, [branch, *below.values()]))
        os.kill(branch, number)
        eventually(lambda: not any(map(alive, below.values())), SECONDS)


# ---- the program ends ------------------------------------------------------------------------


def test_a_daemon_that_ignores_sigterm_does_not_keep_the_program(method: str) -> None:
    run_script(
        """
        import signal, sys, time
        import procession

        def stay(deaf):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            deaf.set()
            time.sleep(100)

        if __name__ == "__main__":
            context = procession.get_context(sys.argv[1])
            deaf = context.Event()
            context.Process(target=stay, args=(deaf,), daemon=True).start()
            deaf.wait()
        """,
        method,
        limit=20,
    ).check()


@pytest.mark.limit(120)
def test_what_children_print_arrives_whole(method: str, tmp_path: Path) -> None:
    result = run_script(
        """
        import sys
        import procession

        def say(name):
            for number in range(2000):
                print(name, number)
            sys.stdout.write("no newline at the end of " + name + " ")

        if __name__ == "__main__":
            context = procession.get_context(sys.argv[1])
            print("before", end=" ")
            processes = [context.Process(target=say, args=(name,)) for name in "ab"]
            for process in processes:
                process.start()
                process.join()
            print("after")
        """,
        method,
    ).check()
    said = "".join(
        "".join(f"{name} {n}\n" for n in range(2000)) + f"no newline at the end of {name} " for name in "ab"
    )
    assert result.stdout == f"before {said}after\n"


# ---- Ctrl-C ----------------------------------------------------------------------------------

WAITS = {
    "join": "child.join()",
    "sentinel": "procession.connection.wait([child.sentinel])",
    "lock": "lock = context.Lock(); lock.acquire(); lock.acquire()",
    "event": "context.Event().wait()",
    "condition": "condition = context.Condition(); condition.acquire(); condition.wait()",
    "barrier": "context.Barrier(2).wait()",
    "get": "context.Queue().get()",
    "put": "queue = context.Queue(1); queue.put(1); queue.put(2)",
    "recv": "here, there = context.Pipe(); here.recv()",
    "pool": "with context.Pool(2) as pool: pool.map(time.sleep, [100, 100])",
    "imap": "with context.Pool(2) as pool: list(pool.imap(time.sleep, [100, 100]))",
    "exit": "pass",
}

INTERRUPTED = """
import os, sys, time
import procession, procession.connection

def rest():
    os.write(1, b"child\\n")
    time.sleep(100)

if __name__ == "__main__":
    context = procession.get_context(sys.argv[1])
    child = context.Process(target=rest)
    child.start()
    os.write(1, b"main\\n")
    {wait}
"""


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_ends_a_program_in_whatever_it_waits_for(tmp_path: Path, method: str, wait: str) -> None:
    """As the terminal sends it: to all of them."""
    path = tmp_path / "program.py"
    path.write_text(INTERRUPTED.format(wait=WAITS[wait]), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(path), method],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert sorted([process.stdout.readline(), process.stdout.readline()]) == ["child\n", "main\n"]
        time.sleep(0.3)  # until it waits, most often; any other moment must do as well
        os.killpg(process.pid, signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=LONG)
            eventually(lambda: not kit.in_session(process.pid), SECONDS)
        finally:
            kit.end(kit.in_session(process.pid))
    # What is raised in the exit itself is told, and changes the exit status of no Python program.
    assert process.returncode == (0 if wait == "exit" else -signal.SIGINT)
    # One of the program, one of the child that slept; none of workers.
    assert errors.count("Traceback") <= 2, errors
    assert errors.count("KeyboardInterrupt") <= 2, errors


# ---- threads, masks, other people's forks and reapers -----------------------------------------


def test_a_thread_that_holds_locks_does_not_stop_a_start(ctx: Any) -> None:
    """Locks that a library or the program holds in another thread while a process is started."""
    lock, held, done = ctx.Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(LONG)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(LONG)
    process = start(ctx, try_lock, lock)
    process.join(LONG)
    assert process.exitcode == 7
    assert not process.is_alive()
    done.set()
    thread.join()
    end(start(ctx, take_lock, lock))


def try_lock(lock: Any) -> None:
    sys.exit(0 if lock.acquire(timeout=0.1) else 7)


def take_lock(lock: Any) -> None:
    assert lock.acquire(timeout=LONG)
    lock.release()


def test_a_blocked_mask_of_signals_changes_nothing_about_children(ctx: Any) -> None:
    everything = signal.valid_signals() - {signal.SIGINT}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    try:
        process = start(ctx, exit_with, 5)
        process.join(LONG)
        assert (process.is_alive(), process.exitcode) == (False, 5)
        sleeping = start(ctx, time.sleep, 100)
        assert sleeping.is_alive()
        sleeping.kill()
        sleeping.join(LONG)
        assert sleeping.exitcode == -signal.SIGKILL
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def exit_with(code: int) -> None:
    sys.exit(code)


def test_a_fork_of_the_users_that_exits_disturbs_no_pool_and_no_child(method: str) -> None:
    result = run_script(
        """
        import os, sys, time
        import procession

        def work(x):
            time.sleep(0.01)
            return x * x

        if __name__ == "__main__":
            context = procession.get_context(sys.argv[1])
            child = context.Process(target=time.sleep, args=(100,), daemon=True)
            child.start()
            with context.Pool(2) as pool:
                result = pool.map_async(work, range(50), chunksize=1)
                for how in (sys.exit, os._exit):
                    if (pid := os.fork()) == 0:
                        how(0)
                    assert os.waitpid(pid, 0)[1] == 0
                assert result.get() == [x * x for x in range(50)]
                assert pool.map(work, [3]) == [9]
            assert child.is_alive()
        """,
        method,
        # From 3.12 on the interpreter warns of any fork where threads are about: the pool has some.
        env={"PYTHONWARNINGS": "ignore:This process:DeprecationWarning"},
    ).check()
    assert result.stderr == ""
