"""What a server counts for a client process."""

from typing import Any

import pytest

from procession.managers._objects import Objects
from procession.managers._session import Session
from procession.managers._turn import Turn


class Host:
    """As much of a server as a session needs."""

    def __init__(self) -> None:
        self.objects = Objects()

    def create(self, _conn: Any, typeid: str, obj: Any) -> tuple[str, tuple[str, ...]]:
        return self.objects.add(typeid, obj, set(), None), ()


class Ended:
    """A connection whose other end is gone."""

    def recv_bytes(self) -> bytes:
        raise EOFError


def test_what_is_granted_after_the_end_is_not_kept() -> None:
    host, one, other = Host(), object(), object()
    session, holder = Session(host, Ended(), "a client", 1), Session(host, Ended(), "a client", 1)
    ident, _ = session.create("thing", one)
    assert holder.create("thing", one) == (ident, ())
    session.serve()
    # Calls of its threads that were under way still end, and may return objects.
    assert session.create("thing", one) == (ident, ())
    session.create("thing", other)
    assert host.objects.counts == {ident: 1}
    holder.serve()
    assert (host.objects.counts, list(host.objects.entries)) == ({}, ["0"])


def test_ids_are_never_used_again() -> None:
    objects, seen = Objects(), set()
    for _ in range(100):
        ident = objects.add("thing", object(), (), None)
        objects.drop(ident)
        seen.add(ident)
    assert len(seen) == 100
    with pytest.raises(KeyError):
        objects.hold(ident)
    assert Objects().add("thing", object(), (), None) not in seen


def test_what_is_sent_can_still_be_asked_for(monkeypatch: Any) -> None:
    monkeypatch.setattr("procession.managers._objects.TRANSIT", 0.05)
    from tests.kit import eventually

    objects = Objects()
    kept, lost = (objects.add("thing", object(), (), None) for _ in range(2))
    objects.drop(kept, is_sent=True)
    objects.drop(lost, is_sent=True)
    objects.hold(kept)
    eventually(lambda: lost not in objects.entries)
    assert (kept in objects.entries, objects.counts) == (True, {kept: 1})
    objects.drop(kept)
    assert list(objects.entries) == ["0"]


def test_a_turn_does_what_was_put_off() -> None:
    done: list[int] = []

    def act(item: int) -> None:
        if item < 0:
            raise ValueError(item)
        done.append(item)

    turn = Turn(act)
    with turn.taken():
        for item in (1, -1, 2):
            turn.put_off(item)
        assert done == []
        with pytest.raises(RuntimeError, match="signal handler"), turn.taken():
            pass
    assert done == [1, 2]
    turn.put_off(3)
    assert done == [1, 2, 3]
