"""Managers and their clients killed, stopped, interrupted."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import procession
from procession import ManagerLostError
from tests.kit import eventually, kill

SECONDS = 5.0
"""How soon whoever uses a killed manager must know: promised to users, so not a mere bound."""

# ---- the manager is killed -----------------------------------------------------------------


@pytest.fixture
def doomed(ctx: Any) -> Any:
    """A manager that the test kills."""
    manager = ctx.Manager()
    yield manager
    manager.shutdown()
    manager._process.close()


@pytest.mark.parametrize(
    "kind", [ManagerLostError, EOFError, BrokenPipeError, ConnectionResetError, ConnectionRefusedError]
)
def test_every_proxy_of_a_killed_manager_says_so(doomed: Any, kind: type[Exception]) -> None:
    used, unused, name = doomed.dict(x=1), doomed.list(), doomed._process.name
    assert used["x"] == 1
    kill(doomed._process.pid)
    for call in (lambda: used["x"], lambda: unused[:], doomed.dict, doomed._number_of_objects):
        with pytest.raises(kind) as caught:
            call()
        assert name in str(caught.value)
        assert "SIGKILL" in str(caught.value)


def wait_for_item(items: Any, told: Any) -> None:
    told.put("waiting")
    try:
        items.get()
    except ManagerLostError as error:
        told.put(str(error))


def test_who_waits_in_a_call_is_told(ctx: Any, doomed: Any) -> None:
    items, told = doomed.Queue(), ctx.Queue()
    process = ctx.Process(target=wait_for_item, args=(items, told))
    process.start()
    heard: list[Exception] = []

    def wait() -> None:
        try:
            items.get()
        except ManagerLostError as error:
            heard.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert told.get(timeout=SECONDS * 4) == "waiting"
    kill(doomed._process.pid)
    assert "is gone" in told.get(timeout=SECONDS)
    thread.join(SECONDS)
    assert heard
    process.join()
    told.close()


def test_after_shutdown_proxies_say_so(ctx: Any) -> None:
    manager = ctx.Manager()
    table = manager.dict()
    manager.shutdown()
    with pytest.raises(ManagerLostError):
        table["x"] = 1
    with pytest.raises(procession.ProcessError, match="shut down"):
        manager.start()


def fail() -> None:
    raise ValueError("no such luck")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    os._exit(3)


@pytest.mark.parametrize(
    ("initializer", "said", "cause"),
    [
        (fail, "exit code 1", "ValueError: no such luck"),
        (leave, "exit code 3", "None"),
        (die, "SIGKILL", "None"),
    ],
)
def test_an_initializer_that_fails(ctx: Any, initializer: Any, said: str, cause: str) -> None:
    manager = procession.managers.SyncManager(ctx=ctx)
    with pytest.raises(ManagerLostError, match=f"{said} before it served") as caught:
        manager.start(initializer)
    assert cause in str(caught.value.__cause__)
    assert not manager._process.is_alive()


def disturb(pid: int) -> None:
    os.kill(pid, signal.SIGALRM)
    time.sleep(60)


def test_an_interrupted_start_leaves_no_process(ctx: Any) -> None:
    manager = procession.managers.SyncManager(ctx=ctx)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(Interruption):
            manager.start(disturb, (os.getpid(),))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not manager._process.is_alive()
    manager._process.close()  # the traceback names it for longer


def test_an_address_that_is_taken(ctx: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "taken")
    with procession.managers.SyncManager(path, ctx=ctx) as manager:
        second = procession.managers.SyncManager(path, ctx=ctx)
        with pytest.raises(ManagerLostError) as caught:
            second.start()
        assert "Address already in use" in str(caught.value.__cause__)
        assert manager.dict(x=1)["x"] == 1
    manager._process.close()


def test_who_waits_is_told_by_tcp_too(ctx: Any) -> None:
    """Such a connection hangs up halfway only, when the other side is killed."""
    manager = procession.managers.SyncManager(("127.0.0.1", 0), ctx=ctx)
    manager.start()
    items, told = manager.Queue(), ctx.Queue()
    process = ctx.Process(target=wait_for_item, args=(items, told))
    process.start()
    assert told.get(timeout=SECONDS * 4) == "waiting"
    kill(manager._process.pid)
    assert "is gone" in told.get(timeout=SECONDS)
    with pytest.raises(ManagerLostError, match="SIGKILL"):
        items.put(1)
    process.join()
    told.close()
    manager.shutdown()


# ---- clients are killed --------------------------------------------------------------------


def take(table: Any, manager_address: Any, told: Any) -> None:
    manager = procession.managers.SyncManager(manager_address)
    manager.connect()
    mine = [manager.dict() for _ in range(10)]
    mine[0]["x"] = table["x"]
    told.put(os.getpid())
    time.sleep(60)


def test_what_a_killed_client_had_is_released(ctx: Any, manager: Any) -> None:
    table, told = manager.dict(x=1), ctx.Queue()
    process = ctx.Process(target=take, args=(table, manager.address, told))
    process.start()
    told.get()
    assert manager._number_of_objects() == 11
    process.kill()
    process.join()
    eventually(lambda: manager._number_of_objects() == 1)
    assert table["x"] == 1
    told.close()


def wait_for_ever(items: Any, told: Any) -> None:
    told.put(1)
    items.get()


def test_a_client_killed_in_a_call_harms_nobody(ctx: Any, manager: Any) -> None:
    items, told, table = manager.Queue(), ctx.Queue(), manager.dict()
    process = ctx.Process(target=wait_for_ever, args=(items, told))
    process.start()
    told.get()
    process.kill()
    process.join()
    table["x"] = 1
    assert table["x"] == 1
    told.close()


def hammer(table: Any, told: Any) -> None:
    told.put(1)
    data = b"x" * 100_000
    while True:
        table["x"] = data
        assert table["x"] == data


@pytest.mark.limit(120)
def test_clients_killed_in_the_middle_of_anything(ctx: Any, manager: Any) -> None:
    table, told = manager.dict(), ctx.Queue()
    for _ in range(5):
        process = ctx.Process(target=hammer, args=(table, told))
        process.start()
        told.get()
        process.kill()
        process.join()
        table["mine"] = 1
        assert table["mine"] == 1
    told.close()


# ---- interruption --------------------------------------------------------------------------


class Interruption(Exception):  # noqa: N818
    """Raised by the handler below."""


def interrupt(*_: object) -> None:
    raise Interruption


def test_an_interrupted_call_leaves_its_reply_to_nobody(manager: Any) -> None:
    items, table = manager.Queue(), manager.dict(x=1)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Interruption):
            items.get()
    finally:
        signal.signal(signal.SIGALRM, before)
    items.put("for the one that was given up")
    for n in range(20):
        table["n"] = n
        assert table["n"] == n
        assert table["x"] == 1


class Interrupting:
    """As if Ctrl-C were pressed while it is pickled."""

    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


def test_an_interrupt_before_a_question_is_out(manager: Any) -> None:
    table = manager.dict()
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            manager.list([Interrupting()])
        with pytest.raises(KeyboardInterrupt):
            table["x"] = Interrupting()
    table["y"] = len(manager.list([1]))
    assert table.copy() == {"y": 1}
    assert manager._number_of_objects() == 1


def test_a_handler_may_call_in_the_middle_of_a_call(manager: Any) -> None:
    items, table = manager.Queue(), manager.dict()

    def handler(*_: object) -> None:
        table["n"] = 1
        items.put(table["n"] + 1)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        table["warm"] = 1
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert items.get() == 2
    finally:
        signal.signal(signal.SIGALRM, before)
    assert table["n"] == 1
