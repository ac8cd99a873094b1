"""Counts of processes killed for want of memory, as kernels of both kinds write them."""

from pathlib import Path

import pytest

from procession._flow import oom
from procession._flow.oom import Count

BOTH = ["7:memory:/box/inner", "0::/box/inner"]


def write(place: Path, count: int) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"low 0\noom 3\noom_kill {count}\noom_group_kill 0\n")


@pytest.mark.parametrize(
    ("line", "place"),
    [
        (BOTH[0], "memory/box/inner/memory.oom_control"),
        (BOTH[0], "memory/memory.oom_control"),
        (BOTH[1], "box/inner/memory.events"),
        (BOTH[1], "memory.events"),
        ("3:cpu,memory:/", "memory/memory.oom_control"),
        ("nonsense", "../machine"),
        ("", "../machine"),
    ],
)
def test_it_rises_once(tmp_path: Path, line: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 20.0, 24.0, 25.0])
    monkeypatch.setattr(oom, "monotonic", lambda: next(times))
    root, membership, machine = tmp_path / "groups", tmp_path / "cgroup", tmp_path / "machine"
    root.mkdir()
    membership.write_text(line and f"{line}\n")
    write(machine, 1)
    write(root / place, 4)
    count = Count(membership, root, machine)
    assert not count.has_risen()
    write(root / place, 5)
    assert count.has_risen()
    # For whoever was killed together with the first.
    assert count.has_risen()
    assert not count.has_risen()


def test_where_nobody_counts_nothing_rises(tmp_path: Path) -> None:
    count = Count(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert not count.has_risen()
    write(tmp_path / "c", 5)
    assert not count.has_risen()


def test_this_machine_can_be_asked() -> None:
    assert not Count().has_risen()
