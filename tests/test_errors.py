"""Errors travel with what they carry, and are what programs catch."""

import builtins
import concurrent.futures.process
import multiprocessing
import pickle
import subprocess
import sys

import pytest

from procession import _waits, errors

LOST = {"pid": 7, "name": "W", "exitcode": -9, "signal": 9, "cause": "killed", "task": "f(1)"}


class Fancy(errors.WorkerLostError):
    """A user's subclass, whose ``__init__`` is nothing like ``args``."""

    def __init__(self, *, weight: int) -> None:
        super().__init__(f"weighs {weight}", pid=weight)
        self.weight = weight


SAMPLES = [
    errors.WorkerLostError("gone", **LOST),
    errors.OwnerDiedError(12, "Process-3", tid=13),
    errors.DeadlockError("A waits for B waits for A"),
    errors.TaskTimeoutError("f(1) ran longer than 2 s"),
    errors.TransferError("args[0]: cannot pickle", path="args[0]"),
    errors.TransferTypeError("no", path="x"),
    errors.TransferAttributeError("no", path="x"),
    errors.TransferRecursionError("no", path="x"),
    Fancy(weight=3),
]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_travels_whole(error: Exception, protocol: int) -> None:
    error.add_note("seen on a Monday")
    copy = pickle.loads(pickle.dumps(error, protocol))
    assert type(copy) is type(error)
    assert (str(copy), copy.args, vars(copy)) == (str(error), error.args, vars(error))
    assert copy.__notes__[-1] == "seen on a Monday"


@pytest.mark.parametrize(
    ("kind", "parents"),
    [
        (errors.WorkerLostError, [concurrent.futures.process.BrokenProcessPool, RuntimeError]),
        (errors.OwnerDiedError, []),
        (errors.DeadlockError, []),
        (errors.TaskTimeoutError, [multiprocessing.TimeoutError, builtins.TimeoutError]),
        (errors.TransferError, [pickle.PicklingError]),
        (errors.TransferTypeError, [errors.TransferError, TypeError]),
        (errors.TransferAttributeError, [errors.TransferError, AttributeError]),
        (errors.TransferRecursionError, [errors.TransferError, RecursionError]),
    ],
)
def test_an_error_is_what_programs_catch(kind: type, parents: list[type]) -> None:
    for parent in [multiprocessing.ProcessError, *parents]:
        assert issubclass(kind, parent)
    assert (kind.__module__, getattr(errors, kind.__name__)) == ("procession.errors", kind)


def test_the_stdlibs_errors_are_the_stdlibs() -> None:
    for name in ("ProcessError", "TimeoutError", "BufferTooShort", "AuthenticationError"):
        assert getattr(errors, name) is getattr(multiprocessing, name)


def test_an_owners_death_says_who_and_that_the_lock_is_free() -> None:
    assert "process 12 died" in str(errors.OwnerDiedError(12))
    assert "process 'P' (12), thread 13 died" in str(errors.OwnerDiedError(12, "P", tid=13))
    assert "thread" not in str(errors.OwnerDiedError(12, tid=12))
    assert str(errors.OwnerDiedError(12)).endswith("the lock is free again")


def test_what_is_not_known_of_a_lost_worker_is_none() -> None:
    lost = errors.WorkerLostError("gone")
    assert {name: getattr(lost, name) for name in LOST} == dict.fromkeys(LOST)


def test_importing_errors_leaves_slow_modules_alone() -> None:
    code = (
        "import sys, procession.errors as e; assert 'concurrent.futures.process' not in sys.modules;"
        "assert 'WorkerLostError' in dir(e); e.WorkerLostError('x');"
        "assert 'concurrent.futures.process' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'NoSuchError'"):
        errors.NoSuchError  # noqa: B018


def test_the_name_of_the_dead_is_found_beside_closed_processes() -> None:
    processes = [multiprocessing.get_context("fork").Process(target=int) for _ in range(2)]
    for process in processes:
        process.start()
    pid, name = processes[1].pid, processes[1].name
    processes[0].join()
    processes[0].close()
    multiprocessing.process._children.add(processes[0])  # as seen by a thread that looked just before
    try:
        assert pid is not None
        assert _waits.owner_died(pid, pid).name == name
        assert _waits.owner_died(1, 1).name is None
    finally:
        multiprocessing.process._children.discard(processes[0])
        processes[1].join()
