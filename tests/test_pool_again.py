"""Which tasks of a worker that dies are run by another, and how often."""

import os
import signal
from collections import Counter
from typing import Any

import pytest

from procession.errors import WorkerLostError
from tests.pools import LONG


def note_and_die(arguments: tuple[str, int]) -> int:
    """Writes down that it runs; number 40 kills its worker."""
    path, number = arguments
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{number}\n".encode())
    os.close(file)
    if number == 40:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("name", ["imap", "imap_unordered", "apply"])
def test_who_sends_tasks_one_by_one_has_none_run_again(ctx: Any, name: str, tmp_path: Any) -> None:
    path = str(tmp_path / "notes")
    items = [(path, number) for number in range(100)]
    with ctx.Pool(2) as pool:
        if name == "apply":
            pending = [pool.apply_async(note_and_die, (item,)) for item in items]
            found = [outcome(lambda result=result: result.get(LONG)) for result in pending]
        else:
            results = getattr(pool, name)(note_and_die, items)
            found = [outcome(lambda: results.next(LONG)) for _ in items]
    pool.join()
    assert Counter(found) == Counter([*range(40), *range(41, 100), WorkerLostError])
    assert Counter((tmp_path / "notes").read_text().split()) == Counter(str(n) for n in range(100))


def test_the_answers_of_a_map_that_had_not_left_come_from_another(ctx: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "notes")
    with ctx.Pool(2) as pool, pytest.raises(WorkerLostError, match="item 40"):
        pool.map_async(note_and_die, [(path, number) for number in range(100)]).get(LONG)
    pool.join()
    # As the documentation says.
    notes = Counter((tmp_path / "notes").read_text().split())
    assert set(notes) == {str(number) for number in range(100)}
    assert max(notes.values()) <= 2


def outcome(ask: Any) -> Any:
    try:
        return ask()
    except WorkerLostError:
        return WorkerLostError
