"""SharedMemory: who ends how, whose block stays and goes; arrays in it; what the tracker is told."""

import os
import pickle
import signal
import subprocess
import sys
import unittest.mock
from collections.abc import Iterator
from multiprocessing import resource_tracker as std_tracker
from multiprocessing import shared_memory as std
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import procession
from procession import resource_tracker
from procession.shared_memory import SharedMemory
from tests.kit import eventually, run_script

HOME = Path("/dev/shm")


@pytest.fixture
def block() -> Iterator[SharedMemory]:
    """A block of a hundred bytes."""
    block = SharedMemory(create=True, size=100)
    yield block
    block.close()
    block.unlink()


def exists(name: str) -> bool:
    return (HOME / name).exists()


# ---- in one process ------------------------------------------------------------------------


def test_a_block(block: SharedMemory) -> None:
    assert isinstance(block, std.SharedMemory)
    assert (block.size, len(block.buf), bytes(block.buf)) == (100, 100, bytes(100))
    other = SharedMemory(block.name)
    other.buf[:5] = b"hello"
    assert bytes(block.buf[:5]) == b"hello"
    assert repr(other) == f"SharedMemory({block.name!r}, size=100)"
    other.close()
    other.close()
    assert other.buf is None
    assert HOME.joinpath(block.name).stat().st_mode & 0o777 == 0o600


def test_pickled_it_is_attached_to(block: SharedMemory) -> None:
    other = pickle.loads(pickle.dumps(block))
    other.buf[0] = 7
    assert (type(other), block.buf[0]) == (SharedMemory, 7)
    other.close()


@pytest.mark.parametrize("args", [(None, True, 0), (None, True, -1), (None, False, 1), ("x\0y", False, 0)])
def test_misuse(args: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of several
        SharedMemory(*args)


def test_names(block: SharedMemory) -> None:
    with pytest.raises(FileExistsError):
        SharedMemory(block.name, create=True, size=1)
    with pytest.raises(FileNotFoundError):
        SharedMemory("procession-no-such-block")
    named = SharedMemory(f"procession-test-{os.getpid()}", create=True, size=1)
    assert exists(named.name)
    named.close()
    named.unlink()
    with pytest.raises(FileNotFoundError):
        named.unlink()


def test_no_room_is_an_error_at_once_and_leaves_nothing() -> None:
    before = set(os.listdir(HOME))
    name = f"procession-large-{os.getpid()}"
    for asked in (None, name):
        with pytest.raises(OSError, match="shared memory were asked for"):
            SharedMemory(asked, create=True, size=1 << 50)
    assert not exists(name)
    assert {entry for entry in set(os.listdir(HOME)) - before if entry.startswith("psm_")} == set()


def test_views_are_not_cut_off(block: SharedMemory) -> None:
    other = SharedMemory(block.name)
    array = np.frombuffer(other.buf, dtype=np.uint8)
    with pytest.raises(BufferError):
        other.close()
    block.buf[3] = 9
    assert array[3] == 9
    del other  # makes no noise, or the test would fail
    block.buf[3] = 8
    assert array[3] == 8


# ---- between processes ---------------------------------------------------------------------


def double(block: SharedMemory, name: str, shape: tuple[int, ...]) -> None:
    array: Any = np.ndarray(shape, dtype=np.float64, buffer=block.buf)
    array *= 2
    other = SharedMemory(name)
    np.ndarray(shape, dtype=np.float64, buffer=other.buf)[0, 0] = -1


def test_arrays_in_every_process(ctx: Any) -> None:
    shape = (300, 400)
    block = SharedMemory(create=True, size=8 * shape[0] * shape[1])
    array: Any = np.ndarray(shape, dtype=np.float64, buffer=block.buf)
    array[:] = 3
    process = ctx.Process(target=double, args=(block, block.name, shape))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert array[0, 0] == -1
    assert array.sum() == 6 * (array.size - 1) - 1
    del array
    block.close()
    block.unlink()


def total(name: str, size: int) -> float:
    block = SharedMemory(name)
    array = np.ndarray(size, dtype=np.float64, buffer=block.buf)
    return float(array.sum())


def test_arrays_in_tasks_of_a_pool(ctx: Any) -> None:
    block = SharedMemory(create=True, size=8000)
    np.ndarray(1000, dtype=np.float64, buffer=block.buf)[:] = 1
    with ctx.Pool(2) as pool:
        assert pool.starmap(total, [(block.name, 1000)] * 8) == [1000.0] * 8
    block.close()
    block.unlink()


def hold(name: str, told: Any) -> None:
    block = SharedMemory(name)
    told.put(block.buf[0])
    signal.pause()


def test_a_killed_reader_takes_nothing_along(ctx: Any, block: SharedMemory) -> None:
    told = ctx.Queue()
    process = ctx.Process(target=hold, args=(block.name, told))
    process.start()
    assert told.get() == 0
    process.kill()
    process.join()
    assert exists(block.name)
    told.close()


# ---- strangers -----------------------------------------------------------------------------

ATTACHES = """
import os, signal, sys
from procession.shared_memory import SharedMemory
block = SharedMemory(sys.argv[1], **eval(sys.argv[2]))
block.buf[0] += 1
{end}
"""

ENDS = {
    "by itself": "",
    "in good order": "block.close()",
    "at once": "os._exit(0)",
    "by a signal": "os.kill(os.getpid(), signal.SIGKILL)",
    "having forgotten it": "from procession import resource_tracker\n"
    "resource_tracker.unregister(block._name, 'shared_memory')\nblock.close()",
}


NEEDLESS = "having forgotten it", "{'track': False}"
"""Nobody has the tracker forget what it was never told."""


@pytest.mark.parametrize(
    ("end", "options"),
    [(end, options) for end in ENDS for options in ("{}", "{'track': False}") if (end, options) != NEEDLESS],
)
def test_a_stranger_that_ends_leaves_the_block(block: SharedMemory, end: str, options: str) -> None:
    result = run_script(ATTACHES.format(end=ENDS[end]), block.name, options)
    assert result.stderr == ""
    assert exists(block.name)
    assert block.buf[0] == 1


def test_a_stranger_that_has_it_tracked_takes_it_along() -> None:
    block = SharedMemory(create=True, size=10)
    result = run_script(ATTACHES.format(end=""), block.name, "{'track': True}")
    assert "resource_tracker: There appear to be 1 leaked shared_memory objects" in result.stderr
    assert not exists(block.name)
    resource_tracker.unregister(block._name, "shared_memory")  # type: ignore[attr-defined]
    block.close()


def test_a_stranger_that_unlinks(block: SharedMemory) -> None:
    other = SharedMemory(create=True, size=10)
    result = run_script(ATTACHES.format(end="block.unlink()"), other.name, "{}").check()
    assert result.stderr == ""
    assert not exists(other.name)
    resource_tracker.unregister(other._name, "shared_memory")  # type: ignore[attr-defined]
    other.close()


def test_one_that_a_stranger_has_unlinked_makes_no_noise() -> None:
    end = """
    from pathlib import Path
    Path("/dev/shm", block.name).unlink()
    try:
        block.unlink()
    except FileNotFoundError:
        print("gone")
    """
    result = run_script(CREATES.format(end=end.strip(), method=""), "{}").check()
    assert result.stdout.endswith("gone\n")
    assert result.stderr == ""


CREATES = """
import os, signal, sys
import numpy
import procession
from procession.shared_memory import SharedMemory

def begin():
    global block
    block = SharedMemory(create=True, size=100, **eval(sys.argv[1]))
    print(block.name, flush=True)

def child():
    begin()
    {end}

if __name__ == "__main__":
    if {method!r}:
        process = procession.get_context({method!r}).Process(target=child)
        process.start()
        process.join()
    else:
        child()
"""


@pytest.mark.parametrize("method", ["", "fork", "spawn", "forkserver"])
def test_a_killed_creator_leaks_nothing(method: str) -> None:
    program = CREATES.format(end="os.kill(os.getpid(), signal.SIGKILL)", method=method)
    result = run_script(program, "{}")
    name = result.stdout.strip()
    eventually(lambda: not exists(name))
    assert "1 leaked shared_memory objects" in result.stderr


def test_one_that_nobody_tracks_stays() -> None:
    result = run_script(CREATES.format(end="", method=""), "{'track': False}").check()
    name = result.stdout.strip()
    assert (result.stderr, exists(name)) == ("", True)
    block = SharedMemory(name, track=False)
    block.close()
    block.unlink()


def test_views_alive_at_exit_make_no_noise() -> None:
    end = "global array; array = numpy.frombuffer(block.buf, dtype=numpy.uint8); block.unlink()"
    result = run_script(CREATES.format(end=end, method=""), "{}").check()
    assert result.stderr == ""


# ---- the tracker ---------------------------------------------------------------------------


def test_what_programs_put_in_the_trackers_place_is_called(block: SharedMemory) -> None:
    with unittest.mock.patch("multiprocessing.resource_tracker.register") as register:
        other = SharedMemory(block.name)
        assert not register.called
        made = SharedMemory(create=True, size=1)
        register.assert_called_once_with(made._name, "shared_memory")  # type: ignore[attr-defined]
    with unittest.mock.patch("multiprocessing.resource_tracker.unregister") as unregister:
        made.unlink()
        unregister.assert_called_once_with(made._name, "shared_memory")  # type: ignore[attr-defined]
    resource_tracker.unregister(made._name, "shared_memory")  # type: ignore[attr-defined]
    other.close()
    made.close()


def test_the_tracker_is_the_stdlibs() -> None:
    assert resource_tracker._resource_tracker is std_tracker._resource_tracker  # type: ignore[attr-defined]
    assert resource_tracker.getfd() == std_tracker.getfd()


FORGETS = """
from procession import resource_tracker
for _ in range(3):
    resource_tracker.unregister("/procession-never-registered", "shared_memory")
"""


def test_to_forget_what_was_never_known_makes_no_noise() -> None:
    assert run_script(FORGETS).check().stderr == ""


# ---- managers of memory --------------------------------------------------------------------


def test_a_manager_of_memory(ctx: Any) -> None:
    with procession.managers.SharedMemoryManager(ctx=ctx) as manager:
        block, numbers = manager.SharedMemory(size=100), manager.ShareableList([1, "two\0"])
        assert type(block) is SharedMemory
        assert (list(numbers), exists(block.name)) == ([1, "two\0"], True)
        names = [block.name, numbers.shm.name]
        block.close()
        numbers.shm.close()
    manager._process.close()
    assert [exists(name) for name in names] == [False, False]
    with pytest.raises(ValueError, match="address"):
        procession.managers.SharedMemoryManager(ctx=ctx).SharedMemory(size=9)


def test_programs_of_the_stdlibs_share_the_block(block: SharedMemory) -> None:
    program = "import sys; from multiprocessing import resource_tracker, shared_memory as s\n"
    program += (
        "b = s.SharedMemory(sys.argv[1]); b.buf[0] = 5; resource_tracker.unregister(b._name, 'shared_memory')"
    )
    subprocess.run([sys.executable, "-c", program, block.name], check=True)
    assert block.buf[0] == 5
