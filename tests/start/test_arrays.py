"""Large buffers among the arguments of processes: in shared blocks beside what is unpickled."""

import os
import signal
import threading
from typing import Any

import numpy as np
import pytest

import procession
from tests.arrays import LARGE, all_comes_home, assert_same, floats
from tests.kit import eventually, kill

LONG = 30.0


def given() -> dict[str, Any]:
    fortran = np.asfortranarray(np.arange(LARGE).reshape(2, -1))
    return {"rows": floats(), "more": [np.ones((3, LARGE)), fortran, b"x" * LARGE, bytearray(LARGE)]}


def give_back(queue: Any, things: Any) -> None:
    queue.put(things)


def overwrite(things: Any) -> None:
    things["rows"][:] = -1
    things["more"][0][:] = -1


def nothing(*_things: Any) -> None:
    pass


class Fatal:
    """Kills who unpickles it."""

    def __reduce__(self) -> Any:
        return die, ()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_they_arrive_as_they_were(ctx: Any) -> None:
    things = given()
    with all_comes_home():
        queue = ctx.Queue()
        child = ctx.Process(target=give_back, args=(queue,), kwargs={"things": things})
        child.start()
        assert_same(queue.get(timeout=LONG), given())
        child.join(LONG)
        assert child.exitcode == 0
        queue.close()
        del child


def test_what_a_child_writes_is_its_own(ctx: Any) -> None:
    things = given()
    with all_comes_home():
        child = ctx.Process(target=overwrite, args=(things,))
        child.start()
        child.join(LONG)
        assert child.exitcode == 0
        assert_same(things, given())
        del child


def test_what_the_parent_writes_after_the_start_is_not_seen(ctx: Any) -> None:
    things = given()
    queue = ctx.Queue()
    child = ctx.Process(target=give_back, args=(queue, things))
    child.start()
    things["rows"][:] = -1
    assert_same(queue.get(timeout=LONG), given())
    child.join(LONG)
    queue.close()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_they_do_not_travel_in_the_stream(ctx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from procession.start import parcel

    sizes: list[int] = []
    filed = parcel.filed

    def measured(parts: Any) -> Any:
        sizes.append(sum(len(part) for part in parts))
        return filed(parts)

    monkeypatch.setattr(parcel, "filed", measured)
    child = ctx.Process(target=nothing, args=(np.ones(10 * LARGE),))
    child.start()
    child.join(LONG)
    assert child.exitcode == 0
    assert max(sizes) < LARGE


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("order", ["before", "after"])
def test_a_child_that_is_killed_while_it_unpickles_leaks_nothing(ctx: Any, order: str) -> None:
    things = (Fatal(), floats()) if order == "before" else (floats(), Fatal())
    with all_comes_home():
        child = ctx.Process(target=nothing, args=things)
        child.start()
        child.join(LONG)
        assert child.exitcode == -signal.SIGKILL
        del child


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_that_is_killed_as_soon_as_it_is_there_leaks_nothing(ctx: Any) -> None:
    with all_comes_home():
        for _ in range(5):
            child = ctx.Process(target=nothing, args=(given(),))
            child.start()
            kill(child.pid)
            child.join(LONG)
            assert child.exitcode in {0, -signal.SIGKILL}
            del child


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_start_that_fails_leaks_nothing(ctx: Any) -> None:
    with all_comes_home():
        child = ctx.Process(target=nothing, args=(given(), threading.Lock()))
        with pytest.raises(procession.TransferError, match=r"args\[1\]"):
            child.start()
        del child


def wait_on(event: Any, things: Any) -> None:
    event.wait(LONG)
    del things


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_the_parent_lets_go_of_them_when_it_looks(ctx: Any) -> None:
    event = ctx.Event()
    child = ctx.Process(target=wait_on, args=(event, floats()))
    child.start()
    assert eventually(lambda: child.is_alive() and not child._popen._carried)
    event.set()
    child.join(LONG)
    assert child.exitcode == 0
