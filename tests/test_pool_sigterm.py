"""A program's own way with SIGTERM, which is not for its workers."""

import os
from pathlib import Path

import pytest

from tests.kit import run_script

PATH = os.pathsep.join([os.getcwd(), os.path.join(os.getcwd(), "src")])

HANDLING = """
import os, signal, sys, time
import procession
from tests.pools import touch

_, method, traces, struck = sys.argv

def handler(number, frame):
    touch(traces)

def strike():
    # The first worker, half started.
    try:
        open(struck, "x").close()
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGTERM)

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, handler)
"""

TERMINATED = """
    with procession.get_context(method).Pool(2) as pool:
        pool.map(abs, range(10), 1)
        pool.map_async(time.sleep, [30, 30], 1)
    pool.join()
"""

HALF_STARTED = """
    os.register_at_fork(after_in_child=strike)
    with procession.get_context(method).Pool(1) as pool:
        assert pool.map(abs, range(10), 1) == list(range(10))
    pool.join()
    assert os.path.exists(struck)
if __name__ == "__mp_main__":
    signal.signal(signal.SIGTERM, handler)
    strike()
"""


@pytest.mark.parametrize("_", range(5))
def test_the_programs_sigterm_handler_does_not_run_in_workers(method: str, tmp_path: Path, _: int) -> None:
    traces = tmp_path / "traces"
    words = method, str(traces), ""
    run_script(HANDLING + TERMINATED, *words, env={"PYTHONPATH": PATH}).check()
    assert not traces.exists()


# The fork server, which imports the program once for all, would be struck and not the worker.
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_it_does_not_run_in_a_worker_that_is_half_started(method: str, tmp_path: Path) -> None:
    traces, struck = tmp_path / "traces", tmp_path / "struck"
    words = method, str(traces), str(struck)
    run_script(HANDLING + HALF_STARTED, *words, env={"PYTHONPATH": PATH}).check()
    assert not traces.exists()
