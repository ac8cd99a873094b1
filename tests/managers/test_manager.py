"""Managers in whole programs: ends of all kinds, quiet and complete."""

from typing import Any

import pytest

from tests.kit import run_script

PROGRAM = """
import os, signal, sys, threading
import procession

def child(table, scene):
    table["child"] = os.getpid()
    if scene == "threads":
        threading.Thread(target=table.get, args=("x",), daemon=True).start()

class Ring:
    pass

def wait_for_ever(items):
    try:
        items.get()
    except procession.ManagerLostError:
        pass  # it may begin only when the manager has been shut down

def main(method, scene):
    ctx = procession.get_context(method)
    manager = ctx.Manager()
    table, items = manager.dict(), manager.Queue()
    nested = manager.list([table])
    processes = [ctx.Process(target=child, args=(table, scene)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    if scene == "threads":
        threading.Thread(target=wait_for_ever, args=(items,), daemon=True).start()
    elif scene == "killed manager":
        os.kill(manager._process.pid, signal.SIGKILL)
    elif scene == "cycle":
        ring = Ring()
        ring.ring, ring.all = ring, (manager, table)
    elif scene == "forked":
        if os.fork() == 0:
            table["fork"] = 1
            sys.exit(0)
        assert os.wait()[1] == 0
        assert table["fork"] == 1
    elif scene == "pool":
        pool = manager.Pool(2)
        assert pool.map(abs, [-1]) == [1]
    elif scene == "exit":
        os._exit(0)
    elif scene == "interrupt":
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            items.get()
        except KeyboardInterrupt:
            assert table["child"]

if __name__ == "__main__":
    main(*sys.argv[1:])
"""


@pytest.mark.parametrize(
    "scene", ["plain", "threads", "killed manager", "cycle", "forked", "pool", "exit", "interrupt"]
)
def test_programs_end_quietly_and_whole(method: str, scene: str) -> None:
    result = run_script(PROGRAM, method, scene).check()
    assert (result.stdout, result.stderr) == ("", "")


def note(table: Any) -> None:
    table["pid"] = 1


def test_managers_of_every_method_at_once() -> None:
    import procession

    managers = [procession.get_context(method).Manager() for method in ("fork", "spawn", "forkserver")]
    tables = [manager.dict() for manager in managers]
    for method in ("fork", "spawn", "forkserver"):
        for table in tables:
            process = procession.get_context(method).Process(target=note, args=(table,))
            process.start()
            process.join()
            assert table.pop("pid") == 1
    for manager in managers:
        manager.shutdown()
        manager.shutdown()


def test_a_manager_that_is_dropped_goes() -> None:
    import procession

    manager = procession.get_context("fork").Manager()
    process = manager._process
    del manager
    process.join()
    assert process.exitcode == 0


def test_restarted_at_the_same_address(ctx: Any) -> None:
    import procession

    manager = procession.managers.SyncManager(("127.0.0.1", 0), ctx=ctx)
    manager.start()
    address, old = manager.address, manager.dict()
    manager.shutdown()
    again = procession.managers.SyncManager(address, ctx=ctx)
    again.start()
    new = again.dict(x=1)
    assert new["x"] == 1
    with pytest.raises(procession.ManagerLostError):
        old["x"] = 1
    assert new.copy() == {"x": 1}
    again.shutdown()
