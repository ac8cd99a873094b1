"""The kernel's own killer: a control group of our own, and a task that wants more than there is in it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import eventually, run_script

MEGABYTES = 400
"""The group's memory: enough for a pool of two under any start method."""

# Root and limit, of the second version of control groups where they have memory, else of the first.
GROUPS = [(Path("/sys/fs/cgroup"), "memory.max"), (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes")]

PROGRAM = """
import os, signal, sys
import procession
from procession.errors import WorkerLostError

def run(x):
    if x == 3:
        held = [bytearray(b"x" * (1 << 20)) for _ in range(4096)]
    return x

if __name__ == "__main__":
    with open(sys.argv[1], "w") as group:
        group.write(str(os.getpid()))
    with procession.get_context(sys.argv[2]).Pool(2) as pool:
        results = [pool.apply_async(run, (x,)) for x in range(8)]
        for x, result in enumerate(results):
            try:
                assert result.get(30) == x
            except WorkerLostError as error:
                print(x, error.signal == signal.SIGKILL, "for want of memory" in str(error.cause))
        assert pool.map(run, range(3), 1) == [0, 1, 2]
    pool.join()
"""


@pytest.fixture
def group() -> Iterator[Path]:
    for root, limit in GROUPS:
        if (root / "cgroup.procs").exists() and (place := made(root, limit)):
            yield place
            # The last process leaves the group a moment after it was reaped.
            eventually(lambda: removed(place))
            return
    pytest.skip("no control group of memory can be made here")


def made(root: Path, limit: str) -> Path | None:
    place = root / f"procession-test-{os.getpid()}"
    try:
        place.mkdir()
    except OSError:
        return None
    try:
        with open(place / limit, "r+") as file:
            file.write(str(MEGABYTES << 20))
    except OSError:
        place.rmdir()
        return None
    return place


def removed(place: Path) -> bool:
    try:
        place.rmdir()
    except OSError:
        return False
    return True


def test_only_the_task_that_wants_too_much_is_lost_and_its_error_says_why(group: Path, method: str) -> None:
    result = run_script(PROGRAM, str(group / "cgroup.procs"), method)
    assert result.stdout.splitlines() == ["3 True True"], result.report()
    assert result.returncode == 0
    assert not result.leftovers
