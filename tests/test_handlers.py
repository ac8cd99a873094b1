"""Errors of signal handlers, told from those of the code that they came upon."""

import functools
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from procession import reduction
from procession._handlers import raised_by_handler
from tests.kit.running import LONG, in_thread


class BellError(Exception):
    pass


class BellTypeError(TypeError):
    """Of a kind that pickle raises itself, for what then goes another way."""


class Bell:
    """Callable, and no function."""

    def __init__(self, kind: type[Exception]) -> None:
        self.kind = kind

    def __call__(self, *_: Any) -> None:
        self.ring()

    def ring(self, *_: Any) -> None:
        raise self.kind

    def handlers(self) -> list[Callable[..., Any]]:
        return [
            self,
            self.ring,
            functools.partial(functools.partial(self.ring, 1), 2),
            lambda *_: self.ring(),
        ]


@pytest.fixture(params=range(4), ids=["instance", "method", "partial", "lambda"])
def handled(request: pytest.FixtureRequest) -> Iterator[Callable[[type[Exception]], None]]:
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda kind: (signal.signal(signal.SIGUSR1, Bell(kind).handlers()[request.param]), None)[1]
    signal.signal(signal.SIGUSR1, before)


class Calling:
    """Pickled, and rebuilt, with a signal to this process."""

    def __reduce__(self) -> tuple[Any, ...]:
        signal.raise_signal(signal.SIGUSR1)
        return signal.raise_signal, (signal.SIGUSR1,)


@pytest.mark.parametrize("kind", [BellError, BellTypeError])
def test_a_handlers_error_comes_out_of_pickling_as_it_is(handled: Any, kind: type[Exception]) -> None:
    handled(kind)
    for value in (Calling(), [lambda: 1, Calling()], [Calling(), lambda: 1]):
        with pytest.raises(kind) as caught:
            reduction.dumps(value, label="it")
        assert type(caught.value) is kind
        assert raised_by_handler(caught.value)


class Failing:
    def __reduce__(self) -> Any:
        raise BellError


def test_an_error_of_the_value_is_none_of_a_handler(handled: Any) -> None:
    handled(BellError)
    with pytest.raises(reduction.TransferError, match="it: BellError") as caught:
        reduction.dumps(Failing(), label="it")
    assert not raised_by_handler(caught.value)
    assert not raised_by_handler(BellError())


def test_in_other_threads_no_handler_runs(handled: Any) -> None:
    handled(BellError)
    handler, told = signal.getsignal(signal.SIGUSR1), []

    def call() -> None:
        try:
            handler(0, None)  # type: ignore[operator,misc]
        except BellError as error:
            told.append(raised_by_handler(error))

    in_thread(call).join(LONG)
    assert threading.current_thread() is threading.main_thread()
    assert told == [False]


def test_a_put_that_a_handler_broke_off_has_put_nothing(ctx: Any, handled: Any) -> None:
    handled(BellError)
    with ctx.Manager() as manager:
        kept = manager.list()
        for queue in (ctx.Queue(1), ctx.SimpleQueue(), ctx.JoinableQueue(1)):
            with pytest.raises(BellError):
                queue.put([1, Calling()])
            assert queue.empty()
            queue.put("next")
            assert queue.get() == "next"
            queue.close()
        with pytest.raises(BellError):
            kept.append(Calling())
        assert len(kept) == 0
    here, there = ctx.Pipe()
    with here, there:
        with pytest.raises(BellError):
            here.send([1, Calling()])
        here.send("next")
        assert there.recv() == "next"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_start_that_a_handler_broke_off_leaves_no_process(method: str, handled: Any) -> None:
    import procession

    handled(BellError)
    process = procession.get_context(method).Process(target=print, args=(Calling(),))
    with pytest.raises(BellError):
        process.start()
    assert process not in procession.active_children()
