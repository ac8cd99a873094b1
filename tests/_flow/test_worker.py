"""The loop of a worker, on a link that writes down what it is told."""

import multiprocessing
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from procession import _family
from procession._flow import worker
from procession._flow.channel import Link, Message
from procession._flow.task import APPLY, EACH, STAR
from tests.pools import describe, fail_on_three, raise_it, square


class Notebook(Link):
    """Gives the messages it was made with, then dismisses."""

    def __init__(self, *messages: Message) -> None:
        self.messages = list(messages)
        self.begun: list[int] = []
        self.answers: list[tuple[int, int, list[Any], dict[int, BaseException]]] = []
        self.notes: list[Any] = []
        self.end = 1_000_000

    def take(self) -> Message | None:
        return self.messages.pop(0) if self.messages else None

    def serve(self, guard: _family.TaskGuard, most: int | None) -> int:
        return _family.serve(self, guard, most)

    def begin(self, number: int, end: int) -> bool:
        if number >= min(self.end, end):
            return False
        self.begun.append(number)
        return True

    def answer(self, mid: int, first: int, values: list[Any], errors: dict[int, BaseException]) -> None:
        self.answers.append((mid, first, values, errors))

    def ready(self) -> None:
        self.notes.append("ready")

    def failed(self, error: BaseException) -> None:
        self.notes.append(error)

    def results(self) -> list[Any]:
        """All results, an error in the place of a value."""
        found: list[Any] = []
        for _, first, values, errors in self.answers:
            assert first == len(found)
            found += [errors.get(number, value) for number, value in enumerate(values)]
        return found


def run(link: Notebook, most: int | None = None) -> bool:
    return worker.work(link, (None, ()), most)


def test_modes() -> None:
    link = Notebook(
        (1, EACH, 0, square, [1, 2]),
        (2, STAR, 0, describe, [(1, 2), ()]),
        (3, APPLY, 0, describe, [((1,), {"k": 2})]),
    )
    assert run(link)
    assert link.notes == ["ready"]
    assert [(mid, values) for mid, _, values, _ in link.answers] == [
        (1, [1, 4]),
        (2, [((1, 2), {}), ((), {})]),
        (3, [((1,), {"k": 2})]),
    ]


def test_every_item_has_its_result_or_its_error() -> None:
    link = Notebook((1, EACH, 0, fail_on_three, range(1000)))
    run(link)
    found = link.results()
    assert [x if x % 10 != 3 else "error" for x in range(1000)] == [
        "error" if isinstance(x, ValueError) else x for x in found
    ]
    assert str(found[13]) == "deliberate 13"


def test_each_item_is_begun_once_in_order() -> None:
    link = Notebook((1, EACH, 0, square, range(1000)))
    run(link)
    assert link.begun == list(range(1000))
    assert link.results() == [x * x for x in range(1000)]


def test_results_do_not_lie_long() -> None:
    link = Notebook((1, EACH, 0, time.sleep, [0.002] * 5))
    run(link)
    assert [len(values) for _, _, values, _ in link.answers] == [1] * 5


def test_items_of_a_thread_stay_as_they_are() -> None:
    items = [[1], [2]]
    link = Notebook((1, EACH, 0, len, items), (2, EACH, 0, len, ("a", "bc")))
    run(link)
    assert items == [[1], [2]]
    assert [values for _, _, values, _ in link.answers] == [[1, 1], [1, 2]]


class Words(dict[str, int]):
    """Keywords in a dictionary of somebody's own."""


def test_arguments_of_any_kind() -> None:
    link = Notebook(
        (1, APPLY, 0, describe, [([1, 2], Words(k=3))]),
        (2, APPLY, 0, describe, [(iter("ab"), {})]),
        (3, APPLY, 0, describe, [((), {1: 2})]),
        (4, APPLY, 0, describe, [((), 5)]),
    )
    run(link)
    assert [values for _, _, values, errors in link.answers if not errors] == [
        [((1, 2), {"k": 3})],
        [(("a", "b"), {})],
    ]
    assert [type(errors[0]) for _, _, _, errors in link.answers if errors] == [TypeError, AttributeError]


def test_the_guard_is_up_while_a_task_runs() -> None:
    guard = worker._Guard()
    seen = []
    link = Notebook((1, EACH, 0, lambda x: seen.append(guard.inside), [1, 2]))
    assert not guard.inside
    assert link.serve(guard, None) == 1
    assert seen == [True, True]
    assert not guard.inside


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), StopIteration(5)])
@pytest.mark.parametrize("before", [0, 50])
def test_nothing_that_tasks_raise_ends_the_worker(error: BaseException, before: int) -> None:
    def work(x: int) -> int:
        if x == before:
            raise error
        return x

    link = Notebook((1, EACH, 0, work, range(100)), (2, APPLY, 0, describe, [((), {})]))
    assert run(link)
    found = [
        (mid, number)
        for mid, first, _, errors in link.answers
        for number in range(first, first + len(errors))
    ]
    assert len(found) == 1
    answers = [answer for answer in link.answers if answer[0] == 1]
    values = [value for _, _, part, _ in answers for value in part]
    assert values == [None if x == before else x for x in range(100)]
    (raised,) = [e for _, _, _, errors in answers for e in errors.values()]
    assert type(raised) is type(error)


def test_the_first_stop_iteration_keeps_its_value() -> None:
    link = Notebook((1, APPLY, 0, raise_it, [((StopIteration(5),), {})]))
    run(link)
    assert link.results()[0].value == 5


def test_starmap_items_that_cannot_be_unpacked() -> None:
    link = Notebook((1, STAR, 0, describe, [(1,), 5, (2,)]))
    run(link)
    found = link.results()
    assert isinstance(found[1], TypeError)
    assert found[0::2] == [((1,), {}), ((2,), {})]


def test_it_stops_where_the_rest_was_cut_off() -> None:
    link = Notebook((1, EACH, 0, square, list(range(100))))
    link.end = 37
    run(link)
    assert link.results() == [i * i for i in range(37)]


@pytest.mark.parametrize("prompt", [1, 3])
def test_what_is_wanted_at_once_is_given_at_once(prompt: int) -> None:
    link = Notebook((1, EACH, prompt, square, list(range(10))))
    run(link)
    assert link.results() == [i * i for i in range(10)]
    assert [first for _, first, _, _ in link.answers] == list(range(0, 10, prompt))


def test_as_many_messages_as_it_may_have() -> None:
    messages: list[Message] = [(mid, EACH, 0, square, [mid]) for mid in range(1, 6)]
    link = Notebook(*messages)
    assert run(link, 3)
    assert len(link.answers) == 3
    assert len(link.messages) == 2


@pytest.mark.parametrize("error", [LookupError("deliberate"), SystemExit(5), KeyboardInterrupt()])
def test_an_initializer_that_fails(error: BaseException) -> None:
    link = Notebook((1, EACH, 0, square, [1]))
    assert not worker.work(link, (raise_it, (error,)))
    assert link.notes == [error]
    assert not link.answers


# ---- the whole life, which changes the process that leads it ---------------------------------


def in_a_child(check: Callable[..., None], *args: Any) -> None:
    child = multiprocessing.get_context("fork").Process(target=check, args=args)
    child.start()
    child.join()
    assert child.exitcode == 0


def test_main_ends_with_an_exit_code_then() -> None:
    in_a_child(expect_exit_codes)


def expect_exit_codes() -> None:
    with pytest.raises(SystemExit) as caught:
        worker.main(Notebook(), (raise_it, (LookupError(),)), None)
    assert caught.value.code == 1
    worker.main(Notebook(), (None, ()), None)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("handler", [signal.SIG_IGN, print])
def test_a_programs_own_sigint_handler_stays(handler: Any) -> None:
    in_a_child(expect_to_keep, handler)


def expect_to_keep(handler: Any) -> None:
    signal.signal(signal.SIGINT, handler)
    worker.main(Notebook(), (None, ()), None)
    assert signal.getsignal(signal.SIGINT) is handler
