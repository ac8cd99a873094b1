"""What a forked child closes and forgets of its parent's."""

import os
from collections.abc import Callable

from procession import _private as private


def in_fork(check: Callable[[], bool]) -> bool:
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            code = 0 if check() else 1
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_listed_descriptors_are_closed_in_forks_and_only_there() -> None:
    r, w = os.pipe()
    private.keep(w)
    assert in_fork(lambda: is_open(r) and not is_open(w))
    assert is_open(w)
    private.close(w)
    os.close(r)
    assert not is_open(w)


def test_one_that_was_closed_by_somebody_else_keeps_no_other_open() -> None:
    r, w = os.pipe()
    gone = os.dup(r)
    private.keep(gone)
    private.keep(w)
    os.close(gone)
    assert in_fork(lambda: not is_open(w))
    private.close(w)
    os.close(r)
    private._listed.discard(gone)


def test_what_is_to_be_forgotten_is_so_once_a_fork() -> None:
    calls: list[int] = []

    def forget() -> None:
        calls.append(os.getpid())

    private.undo(forget)
    private.undo(forget)
    try:
        # Not in a child of that child, which has nothing of it.
        assert in_fork(lambda: calls == [os.getpid()] and in_fork(lambda: len(calls) == 1))
        assert calls == []
        assert in_fork(lambda: calls == [os.getpid()])
    finally:
        del private._forgetting[forget]


def test_who_still_has_something_says_so_again() -> None:
    calls: list[int] = []

    def forget() -> None:
        private.undo(forget)
        calls.append(os.getpid())

    private.undo(forget)
    try:
        assert in_fork(lambda: in_fork(lambda: calls == [os.getppid(), os.getpid()]))
    finally:
        del private._forgetting[forget]
