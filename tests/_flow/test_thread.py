"""A thread whose start nobody waits for."""

import threading

import pytest

from procession._flow import thread


def test_it_runs_once_and_is_joined() -> None:
    ran: list[str] = []
    started = thread.Thread(lambda: ran.append(threading.current_thread().name), "procession-test")
    started.start()
    started.join()
    assert ran == ["procession-test"]
    assert started.daemon
    assert not started.is_alive()
    with pytest.raises(RuntimeError):
        started.start()


def test_join_waits_for_one_that_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    begin, ended = threading.Event(), threading.Event()
    bootstrap = thread.Thread._bootstrap  # type: ignore[attr-defined]

    def late(self: thread.Thread) -> None:
        begin.wait()
        bootstrap(self)

    monkeypatch.setattr(thread.Thread, "_bootstrap", late)
    started = thread.Thread(ended.set, "procession-test")
    started.start()
    assert not ended.is_set()
    begin.set()
    started.join()
    assert ended.is_set()


def test_join_may_be_told_how_long() -> None:
    end = threading.Event()
    started = thread.Thread(lambda: end.wait() and None, "procession-test")
    started.start()
    started.join(0.01)
    assert started.is_alive()
    end.set()
    started.join()
