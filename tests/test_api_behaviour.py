"""What the names of the package do that are the stdlib's own: the logger, reducers, keys, frozen programs."""

import logging
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

import procession
from procession.process import AuthenticationString
from tests.kit import run_python

# ---- the logger ----------------------------------------------------------------------------

LOGGED = """
import importlib, logging, sys

mp = importlib.import_module(sys.argv[1])

def work():
    mp.get_logger().info("told")
    mp.get_logger().debug("not told")
    print(mp.get_logger().level, len(mp.get_logger().handlers), mp.get_logger().propagate, flush=True)

if __name__ == "__main__":
    ctx = mp.get_context(sys.argv[2])
    assert ctx.log_to_stderr("INFO") is ctx.get_logger() is mp.get_logger()
    process = ctx.Process(target=work, name="child")
    process.start()
    process.join()
    mp.log_to_stderr()
    print(mp.get_logger().level, len(mp.get_logger().handlers))
"""


def test_what_children_log_comes_to_stderr_as_with_the_stdlib(tmp_path: Path, method: str) -> None:
    script = tmp_path / "logged.py"
    script.write_text(LOGGED, encoding="utf-8")
    told = {}
    for package in ("procession", "multiprocessing"):
        result = run_python(str(script), package, method).check()
        assert result.stdout == "20 1 0\n20 2\n"
        told[package] = [line for line in result.stderr.splitlines() if "/child]" in line]
    assert told["procession"] == told["multiprocessing"]
    assert told["procession"] == [
        "[INFO/child] child process calling self.run()",
        "[INFO/child] told",
        "[INFO/child] process shutting down",
        "[INFO/child] process exiting with exitcode 0",
    ]


def test_there_is_one_logger_and_it_says_nothing_of_itself() -> None:
    text = (
        "import logging, sys, procession; logging.basicConfig(); logger = procession.get_logger()\n"
        "logger.error('to nobody'); print(logger.name, logger.level, logger.handlers, logger.propagate)"
    )
    result = run_python("-c", text).check()
    assert result.stdout == "multiprocessing 0 [] 0\n"
    assert "to nobody" not in result.stdout
    assert procession.get_logger() is multiprocessing.get_logger() is logging.getLogger("multiprocessing")


# ---- reducers ------------------------------------------------------------------------------

REDUCED = """
import sys
import procession
from procession.reduction import AbstractReducer, ForkingPickler

class Own(AbstractReducer):
    "As programs have it for a protocol of their choice."
    class ForkingPickler(ForkingPickler):
        def __init__(self, *args):
            sys.exit("not asked")

class Number:
    pass

Own.ForkingPickler.register(Number, lambda number: (int, (7,)))

def give(queue):
    queue.put(Number())

if __name__ == "__main__":
    ctx = procession.get_context(sys.argv[1])
    assert ctx.reducer is procession.reducer is sys.modules["multiprocessing.reduction"]
    own = ctx.reducer = Own()
    assert procession.get_context("fork").reducer is procession.get_context("spawn").reducer is own
    queue = ctx.Queue()
    process = ctx.Process(target=give, args=(queue,))
    process.start()
    print(queue.get())
    process.join()
    with ctx.Pool(1) as pool:
        print(pool.map(abs, [Number()]))
"""


def test_of_a_contexts_own_reducer_what_is_registered_counts(tmp_path: Path, method: str) -> None:
    script = tmp_path / "reduced.py"
    script.write_text(REDUCED, encoding="utf-8")
    assert run_python(str(script), method).check().stdout == "7\n[7]\n"


# ---- keys ----------------------------------------------------------------------------------


def tell_key(queue: Any) -> None:
    key = procession.current_process().authkey
    queue.put((type(key).__name__, bytes(key)))


def tell(queue: Any, key: bytes) -> None:
    queue.put((type(key).__name__, bytes(key)))


def test_a_child_has_its_parents_key_or_one_of_its_own(ctx: Any) -> None:
    queue = ctx.Queue()
    for given in (None, b"of its own"):
        process = ctx.Process(target=tell_key, args=(queue,))
        if given:
            process.authkey = given
        process.start()
        wanted = given or bytes(procession.current_process().authkey)
        assert queue.get() == ("AuthenticationString", wanted)
        process.join()
    queue.close()


def test_a_key_goes_to_a_process_that_starts_and_nowhere_else(ctx: Any) -> None:
    key = AuthenticationString(b"a key")
    queue = ctx.Queue()
    process = ctx.Process(target=tell, args=(queue, key))
    process.start()
    assert queue.get() == ("AuthenticationString", b"a key")
    process.join()
    ours, theirs = ctx.Pipe()
    with ctx.Pool(1) as pool:
        for send in (queue.put, ours.send, lambda key: pool.apply(len, (key,))):
            with pytest.raises(TypeError, match="AuthenticationString") as caught:
                send(key)
            assert "a key" not in str(caught.value)
    pool.join()
    assert queue.empty()
    assert not theirs.poll()
    for end in (queue, ours, theirs):
        end.close()


def test_a_key_is_made_of_bytes() -> None:
    assert AuthenticationString is multiprocessing.process.AuthenticationString
    process = procession.Process()
    process.authkey = bytearray(b"bytes")  # type: ignore[assignment]
    assert type(process.authkey) is AuthenticationString
    assert process.authkey == b"bytes"
    with pytest.raises(TypeError):
        process.authkey = "text"  # type: ignore[assignment]


# ---- frozen programs -----------------------------------------------------------------------


@pytest.mark.parametrize("flags", [(), ("-m", "procession")], ids=["plain", "launched"])
@pytest.mark.parametrize("package", ["procession", "multiprocessing"])
def test_a_program_that_is_not_frozen_goes_on(flags: tuple[str, ...], package: str) -> None:
    """Its words are its own, even those that a frozen program's children have."""
    text = f"import sys, {package} as mp; mp.freeze_support(); print(sys.argv[1:])"
    result = run_python(*flags, "-c", text, "--multiprocessing-fork", "tracker_fd=3").check()
    assert result.stdout == "['--multiprocessing-fork', 'tracker_fd=3']\n"
