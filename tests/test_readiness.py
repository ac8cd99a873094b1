"""The descriptor of a queue: readable exactly while a message waits."""

import gc
import os
import select
from collections.abc import Callable
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path
from typing import Any

import pytest

from procession.queues import JoinableQueue, Queue, SimpleQueue
from procession.synchronize import Semaphore
from tests.kit import eventually, run_script
from tests.kit.running import LONG, end, killed, start
from tests.test_queues_between import send_all, take_forever

KINDS = [Queue, JoinableQueue, SimpleQueue]


def is_readable(fd: Any) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_descriptor_tells_the_truth_at_once_about_this_process(kind: Any) -> None:
    made = kind()
    made.put(0)
    reader = made._reader
    assert is_readable(reader)
    for round_ in range(200):
        assert made.get() == round_
        assert not is_readable(reader)
        made.put(round_ + 1)
        assert is_readable(reader)
    made.put("second")
    made.get()
    assert is_readable(reader)
    assert reader.recv() == "second"
    assert not is_readable(reader)


def serve(incoming: Any, outgoing: Any) -> None:
    for item in iter(incoming.get, None):
        outgoing.put(item)
        outgoing.put(item)


def test_the_descriptor_follows_what_other_processes_do(ctx: Any) -> None:
    asked, answered = SimpleQueue(), SimpleQueue()
    process = start(ctx, serve, asked, answered)
    reader = answered._reader
    for number in range(100):
        asked.put(number)
        for _ in range(2):
            assert select.select([reader], [], [], LONG)[0]
            assert answered.get() == number
        assert not is_readable(reader)
    asked.put(None)
    end(process)


def test_another_process_that_empties_the_queue_clears_the_descriptor(ctx: Any) -> None:
    made, ready = Queue(), Semaphore(0)
    made.put(1)
    assert is_readable(made._reader)
    process = start(ctx, take_forever, made, ready)
    assert ready.acquire(timeout=LONG)
    eventually(lambda: not is_readable(made._reader))
    killed(process)
    made.put(2)
    assert is_readable(made._reader)


def test_threads_that_take_and_others_that_put_never_leave_it_wrong(ctx: Any) -> None:
    """The case for two threads: cleared by our own get, filled again by another process."""
    asked, answered = SimpleQueue(), SimpleQueue()
    process = start(ctx, serve, asked, answered)
    reader = answered._reader
    reader.fileno()
    for _ in range(5):
        for number in range(200):
            asked.put(number)
        for _ in range(400):
            assert select.select([reader], [], [], LONG)[0]
            answered.get()
        assert not is_readable(reader)
    asked.put(None)
    end(process)


def test_connection_wait_takes_queues_and_sentinels_together(ctx: Any) -> None:
    one, two = SimpleQueue(), Queue()
    process = start(ctx, send_all, two, [5])
    ready = wait_for_any([one._reader, two._reader], LONG)
    assert ready == [two._reader]
    assert two._reader.recv() == 5
    assert process.sentinel in wait_for_any([one._reader, two._reader, process.sentinel], LONG)
    end(process)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def watchers() -> int:
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    return sum(name.startswith("ring-") for name in names)


@pytest.mark.parametrize(
    "let_go", [lambda made: made.close(), lambda made: made._reader.close(), lambda made: None]
)
def test_threads_and_descriptor_go_with_the_queue(let_go: Callable[[Any], None]) -> None:
    gc.collect()
    before, threads = descriptors(), watchers()
    for _ in range(10):
        made = SimpleQueue()
        assert not is_readable(made._reader)
        let_go(made)
        del made
    eventually(lambda: watchers() == threads)
    eventually(lambda: descriptors() == before)


def test_where_no_thread_or_descriptor_is_to_be_had_nothing_is_left() -> None:
    run_script(
        """
        import os, resource
        from contextlib import contextmanager
        from procession.queues import SimpleQueue

        @contextmanager
        def limited(what, most):
            before = resource.getrlimit(what)
            resource.setrlimit(what, (most, before[1]))
            try:
                yield
            finally:
                resource.setrlimit(what, before)

        def holdings():
            return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

        def refused(reader, error):
            try:
                reader.fileno()
            except error:
                return True
            return False

        made = SimpleQueue()
        reader, before = made._reader, holdings()
        size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        with limited(resource.RLIMIT_AS, size + (1 << 20)):
            assert refused(reader, RuntimeError), "there was room for a thread's stack"
        assert holdings() == before
        with limited(resource.RLIMIT_NOFILE, 3):
            assert refused(reader, OSError), "there was a descriptor left"
        assert holdings() == before
        made.put(1)
        os.set_blocking(reader.fileno(), False)
        assert os.eventfd_read(reader.fileno()) == 1
        """
    ).check()


def test_a_queue_collected_in_a_cycle_ends_its_threads() -> None:
    threads = watchers()
    made: Any = SimpleQueue()
    made.myself = made
    made._reader.fileno()
    eventually(lambda: watchers() == threads + 2)  # they give themselves their names
    del made
    gc.collect()
    eventually(lambda: watchers() == threads)


def test_a_forked_child_makes_a_descriptor_of_its_own() -> None:
    made, answers = SimpleQueue(), SimpleQueue()
    fd = made._reader.fileno()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.fstat(fd)
        except OSError:
            made.put(1)
            code = 0 if is_readable(made._reader) and made.get() == 1 and not is_readable(made._reader) else 2
        os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert not is_readable(made._reader)
    made.put(2)
    assert is_readable(made._reader)
    answers.close()


@pytest.mark.parametrize("moment", ["a thread that outlives the main thread", "an exit handler"])
def test_it_can_be_asked_for_while_the_interpreter_ends(moment: str) -> None:
    """When Python grants threads no more."""
    result = run_script(
        f"""
        import atexit, select, threading
        from procession.queues import SimpleQueue

        def use():
            if {moment!r}.startswith("a thread"):
                threading.main_thread().join()
            made = SimpleQueue()
            assert not select.select([made._reader], [], [], 0)[0]
            made.put(1)
            assert select.select([made._reader], [], [], 0)[0]
            print("it works")

        if {moment!r}.startswith("a thread"):
            threading.Thread(target=use).start()
        else:
            atexit.register(use)
        """
    ).check()
    assert result.stdout == "it works\n"
    assert result.stderr == ""
