"""Children that fail before they run their target: never a silent death, and nobody hangs on it."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import procession
from procession.start import reports
from tests.kit import Result, eventually, run_script

LONG = 30.0

pytestmark = pytest.mark.parametrize("method", ["spawn", "forkserver"])


class Poison:
    """Fails where it is unpickled."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __reduce__(self) -> Any:
        return swallow, (self.how,)


def swallow(how: str) -> None:
    if how == "raise":
        raise LookupError("poisoned")
    if how == "exit":
        sys.exit(0)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "long":
        raise LookupError("x" * 100_000 + " and the end")
    time.sleep(LONG)


def nothing(*_args: object) -> None:
    pass


def failed(ctx: Any, *args: Any) -> Any:
    child = ctx.Process(target=nothing, args=args, name="victim")
    child.start()
    child.join(LONG)
    return child


def test_an_argument_that_cannot_be_unpickled(ctx: Any, capfd: pytest.CaptureFixture[str]) -> None:
    child = failed(ctx, Poison("raise"))
    assert child.exitcode == 1
    assert isinstance(child.start_error, procession.ProcessError)
    told = str(child.start_error)
    assert told.startswith("process 'victim' failed before it ran its target:\nTraceback")
    assert told.rstrip().endswith("LookupError: poisoned")
    printed = capfd.readouterr().err
    assert "Process victim failed before it ran its target:\nTraceback" in printed
    assert printed.rstrip().endswith("LookupError: poisoned")


def test_an_argument_that_exits(ctx: Any) -> None:
    child = failed(ctx, Poison("exit"))
    assert child.exitcode == 1
    assert "SystemExit: 0" in str(child.start_error)


def test_a_child_that_is_killed_while_it_loads(ctx: Any) -> None:
    child = failed(ctx, Poison("kill"))
    assert child.exitcode == -signal.SIGKILL
    assert "it ended with exit code -9" in str(child.start_error)


def test_a_long_story_is_told_from_its_end(ctx: Any) -> None:
    child = failed(ctx, Poison("long"))
    assert str(child.start_error).rstrip().endswith("and the end")
    assert len(str(child.start_error)) < 20_000


def test_the_error_is_known_before_the_end(ctx: Any) -> None:
    child = ctx.Process(target=nothing, args=(Poison("raise"),))
    child.start()
    eventually(lambda: child.start_error)
    child.join(LONG)


def test_a_stopped_child_and_ten_megabytes(ctx: Any) -> None:
    child = ctx.Process(target=nothing, args=(b"x" * 10_000_000,))
    child.start()
    os.kill(child.pid, signal.SIGSTOP)
    child.join(0.05)
    os.kill(child.pid, signal.SIGCONT)
    child.join(LONG)
    assert child.exitcode == 0


def test_ten_megabytes_that_are_never_read(ctx: Any) -> None:
    child = ctx.Process(target=nothing, args=(Poison("raise"), b"x" * 10_000_000))
    child.start()
    child.join(LONG)
    assert child.exitcode == 1


def test_a_target_that_fails_is_no_start_error(ctx: Any) -> None:
    child = ctx.Process(target=swallow, args=("raise",))
    child.start()
    child.join(LONG)
    assert child.exitcode == 1
    assert child.start_error is None


def test_more_reports_than_the_pipe_holds(ctx: Any) -> None:
    w = reports.channel()[1]
    reporters = [reports.Reporter(os.dup(w), 2**40 + number) for number in range(10)]
    for reporter in reporters:
        reporter.failed("y" * 30_000)  # more than a pipe holds: the last are lost, nobody waits
    child = failed(ctx, 1)
    assert child.exitcode == 0
    reports.drain()
    assert failed(ctx, Poison("raise")).start_error is not None


# ---- programs ------------------------------------------------------------------------------

RUN = """
    if __name__ == "__main__":
        process = procession.get_context(sys.argv[1]).Process(target=work)
        process.start()
        process.join()
        print(process.exitcode, process.start_error)
"""


def program(text: str, method: str) -> Result:
    return run_script(f"    import os, sys\n    import procession\n{text}\n{RUN}", method)


def test_a_main_module_that_cannot_be_imported_there(method: str) -> None:
    result = program("    if __name__ != '__main__': import no_such_module\n    def work(): pass", method)
    assert result.returncode == 0
    assert result.stdout.startswith("1 process 'SpawnProcess-1'" if method == "spawn" else "1 process 'Fork")
    assert "No module named 'no_such_module'" in result.stdout
    assert "No module named 'no_such_module'" in result.stderr


def test_a_main_module_that_exits_when_imported(method: str) -> None:
    result = program("    def work(): pass\n    if __name__ != '__main__': sys.exit(0)", method)
    assert result.stdout.startswith("1 process")
    assert "SystemExit: 0" in result.stdout


def test_a_main_file_that_has_gone(method: str) -> None:
    result = program("    def work(): pass\n    if __name__ == '__main__': os.unlink(__file__)", method)
    assert result.stdout.startswith(("0 None", "1 process"))  # by value, if its source was never read
    assert result.leftovers == ()


def test_a_start_in_the_middle_of_the_import(method: str) -> None:
    text = """
    def work(): pass
    if __name__ != "__main__":
        procession.get_context(sys.argv[1]).Process(target=work).start()
    """
    result = program(text, method)
    assert result.stdout.startswith("1 process")
    assert "before the" in result.stdout


def test_the_interpreter_is_missing(method: str) -> None:
    result = run_script(
        """
        import sys
        import procession

        if __name__ == "__main__":
            procession.set_executable(sys.argv[2])
            process = procession.get_context(sys.argv[1]).Process(target=print)
            try:
                process.start()
            except OSError as error:
                print(error)
            assert process.pid is None and procession.active_children() == []
        """,
        method,
        "/no/such/python",
    ).check()
    assert result.stdout == "[Errno 2] No such file or directory (see set_executable): '/no/such/python'\n"


def test_an_interpreter_that_is_none(method: str, tmp_path: Path) -> None:
    (tmp_path / "python").write_bytes(b"\x7fELF but no more")
    (tmp_path / "python").chmod(0o755)
    result = run_script(
        """
        import sys
        import procession

        if __name__ == "__main__":
            procession.set_executable(sys.argv[2])
            process = procession.get_context(sys.argv[1]).Process(target=print)
            try:
                process.start()
                process.join()
                print(process.exitcode, process.start_error)
            except procession.ProcessError as error:
                print(error)
        """,
        method,
        str(tmp_path / "python"),
    ).check()
    assert "ended" in result.stdout
