"""Programs whose standard streams are closed, as those of daemons are."""

import os

import pytest

from tests.kit import run_script

PROGRAM = """
import os, sys
_, method, closed, late, told = sys.argv

def close():
    for fd in map(int, closed.split()):
        os.close(fd)

if __name__ == "__main__" and not late:
    close()
import procession

def tell(queue):
    queue.put([os.readlink(f"/proc/self/fd/{fd}") for fd in range(3)])

if __name__ == "__main__":
    if late:
        procession.Lock()
        close()
    ctx = procession.get_context(method)
    queue = ctx.Queue()
    process = ctx.Process(target=tell, args=(queue,))
    process.start()
    streams = queue.get()
    process.join()
    assert process.exitcode == 0, process.start_error
    assert not [name for name in streams if "memfd" in name or "socket" in name], streams
    with ctx.Pool(2) as pool:
        assert pool.map(abs, range(-3, 0), 1) == [3, 2, 1]
    pool.join()
    with ctx.Manager() as manager:
        shared = manager.list([1])
        shared.append(2)
        assert list(shared) == [1, 2]
    with open(told, "w") as file:
        file.write("fine")
"""


@pytest.mark.parametrize("late", ["", "late"])
@pytest.mark.parametrize("closed", ["0", "1 2", "0 1 2"])
def test_streams_that_are_closed(method: str, closed: str, late: str, tmp_path: object) -> None:
    told = os.path.join(str(tmp_path), "told")
    result = run_script(PROGRAM, method, closed, late, told, limit=30)
    assert (result.returncode, result.leftovers) == (0, ()), result.report()
    with open(told, encoding="ascii") as file:
        assert file.read() == "fine"
