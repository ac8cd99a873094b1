"""Managers that are started at a bad moment."""

import sys
from typing import Any

import procession
from procession.managers import SyncManager
from tests.kit import eventually, run_script


class Interruption(BaseException):
    """As a signal handler raises it between two lines."""


class Interrupter:
    """Raises before the line of managers' `start` that is the `number`th to be run."""

    CODES = frozenset(getattr(SyncManager, name).__code__ for name in ("start", "_begin", "_heard"))

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: Any, event: str, _: Any) -> Any:
        if frame.f_code not in self.CODES:
            return None
        if event == "line":
            self.left -= 1
            if self.left < 0:
                sys.settrace(None)
                raise Interruption
        return self


def test_a_start_interrupted_at_any_line_leaves_no_process(ctx: Any, capfd: Any) -> None:
    number, lines = 0, 10_000
    while number < lines:
        manager = SyncManager(ctx=ctx)
        tracer = Interrupter(number)
        sys.settrace(tracer)
        try:
            manager.start()
        except Interruption:
            pass
        else:
            lines = number
            manager.shutdown()
        finally:
            sys.settrace(None)
        number += 1
        del manager
        assert eventually(lambda: not procession.active_children())
    assert number > 20
    assert "Traceback" not in capfd.readouterr().err


def test_one_that_is_started_while_the_program_ends_does_not_keep_it(method: str) -> None:
    run_script(
        """
        import sys
        from multiprocessing import util
        import procession

        kept = []

        def start():
            kept.append(procession.get_context(sys.argv[1]).Manager())

        if __name__ == "__main__":
            procession.get_context(sys.argv[1]).Manager().shutdown()
            util.Finalize(None, start, exitpriority=0)
        """,
        method,
        limit=20,
    ).check()
