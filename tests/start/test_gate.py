"""Sentinels that do not overtake messages."""

import gc
import os
import resource
import threading
import time
from multiprocessing.connection import wait
from typing import Any

import pytest

from procession.queues import SimpleQueue
from procession.start import gate
from tests.kit import eventually, run_script
from tests.kit.running import LONG, end, killed, start


@pytest.fixture
def _no_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_needed", False)


def put_and_vanish(made: Any) -> None:
    made.put("the last word")
    os._exit(0)


def test_the_end_of_a_process_is_not_seen_before_its_last_message(ctx: Any) -> None:
    for _ in range(20):
        made = SimpleQueue()
        reader = made._reader
        process = start(ctx, put_and_vanish, made)
        ready = wait([reader, process.sentinel], LONG)
        assert reader in ready
        assert made.get() == "the last word"
        assert wait([process.sentinel], LONG) == [process.sentinel]
        end(process)


@pytest.mark.usefixtures("_no_need")
def test_who_waits_for_no_queue_has_no_gate(ctx: Any) -> None:
    process = start(ctx, int)
    assert process.sentinel == process._popen.sentinel
    end(process)


@pytest.mark.usefixtures("_no_need")
def test_a_sentinel_stays_the_same(ctx: Any) -> None:
    process = start(ctx, int)
    seen = process.sentinel
    gate.need()
    assert process.sentinel == seen
    assert wait([seen], LONG) == [seen]
    end(process)


def test_a_gate_goes_with_its_process(ctx: Any) -> None:
    gate.need()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for let_go in (lambda process: process.close(), lambda process: None):
        process = start(ctx, int)
        seen = process.sentinel
        assert seen == process.sentinel != process._popen.sentinel
        assert wait([seen], LONG) == [seen]
        process.join(0)
        assert process.exitcode == 0
        let_go(process)
        del process
    gc.collect()
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)


def test_a_process_that_is_killed_is_seen_to_end(ctx: Any) -> None:
    gate.need()
    process = start(ctx, time.sleep, 100)
    assert wait([process.sentinel], 0) == []
    killed(process)
    assert wait([process.sentinel], LONG) == [process.sentinel]


def test_gates_leave_descriptors_to_those_who_need_them(monkeypatch: pytest.MonkeyPatch) -> None:
    gate.need()
    reading, writing = os.pipe()
    most = reading + 8
    monkeypatch.setattr(resource, "getrlimit", lambda _: (most, most))
    try:
        assert gate.before(reading) is None
    finally:
        os.close(reading)
        os.close(writing)


def test_sixty_processes_behind_gates_fit_in_a_hundred_descriptors(method: str) -> None:
    run_script(
        """
        import os, resource, sys, threading, time
        import procession
        from procession.connection import wait

        if __name__ == "__main__":
            context = procession.get_context(sys.argv[1])
            queue = context.Queue()
            reader = queue._reader
            processes = [context.Process(target=time.sleep, args=(100,)) for _ in range(60)]
            resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
            for process in processes:
                process.start()
            assert wait([reader, *(process.sentinel for process in processes)], 0) == []
            assert len(os.listdir("/proc/self/fd")) < 95
            assert threading.active_count() <= 2
            for process in processes:
                process.kill()
            for process in processes:
                process.join()
                assert process.exitcode == -9
        """,
        method,
    ).check()


def test_where_no_thread_is_to_be_had_the_sentinel_alone_must_do(
    ctx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    gate.need()
    process = start(ctx, int)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert process.sentinel == process._popen.sentinel
    end(process)
