"""A place for a sentinel, and what holds it."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from procession.start import lifeline, pidfd
from procession.start.place import Place

pytestmark = pytest.mark.skipif(not pidfd.available(), reason="a pipe is the place where there are no pidfds")


def target(fd: int | None) -> str:
    return "" if fd is None else os.readlink(f"/proc/self/fd/{fd}")


def test_a_daemons_place_is_its_own_end_of_the_life_pipe() -> None:
    life = lifeline.read_end()
    place = Place(life)
    assert place.life_end != life
    assert target(place.life_end) == target(life)
    place.cancel()
    place = Place()
    assert place.life_end is None
    place.cancel()


def test_where_proc_may_not_be_read_the_child_sees_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: Callable[..., int] = os.open

    def refuse(path: Any, *args: Any) -> int:
        if str(path).startswith("/proc"):
            raise PermissionError(path)
        return opened(path, *args)

    monkeypatch.setattr(os, "open", refuse)
    place = Place(lifeline.read_end())
    assert place.life_end is None
    assert target(place._reserve) == os.devnull
    place.cancel()
