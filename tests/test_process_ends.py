"""Process objects under every start method: the end of a program, and what is left then."""

import gc
import os
from typing import Any

from tests.kit import eventually, run_script
from tests.test_process import nothing, run

# ---- the end of a program ------------------------------------------------------------------


def test_the_exit_joins_children_and_ends_daemons(method: str) -> None:
    result = run_script(
        """
        import atexit, sys, time
        import procession

        def late():
            time.sleep(0.3)
            print("the child has finished")

        def sleep():
            time.sleep(60)

        if __name__ == "__main__":
            ctx = procession.get_context(sys.argv[1])
            ctx.Process(target=late).start()
            ctx.Process(target=sleep, daemon=True).start()
            atexit.register(print, "exit handlers")
            print("main is through", flush=True)
        """,
        method,
    ).check()
    assert result.stdout.splitlines() == ["main is through", "exit handlers", "the child has finished"]


def test_exit_handlers_of_a_child_run_once_and_those_of_its_parent_do_not(method: str) -> None:
    result = run_script(
        """
        import atexit, sys
        import procession

        def child():
            atexit.register(print, "handler of the child")
            print("the child", end=" ")

        if __name__ == "__main__":
            atexit.register(print, "handler of the parent")
            process = procession.get_context(sys.argv[1]).Process(target=child)
            process.start()
            process.join()
        """,
        method,
    ).check()
    assert result.stdout.splitlines() == ["the child handler of the child", "handler of the parent"]


def test_a_program_that_forks_by_itself_ends_quietly(method: str) -> None:
    result = run_script(
        """
        import os, sys, time
        import procession

        if __name__ == "__main__":
            process = procession.get_context(sys.argv[1]).Process(target=time.sleep, args=(0.5,), daemon=True)
            process.start()
            if os.fork() == 0:
                sys.exit()
            os.wait()
            assert process.is_alive(), "the fork has ended its parent's child"
        """,
        method,
    ).check()
    assert result.stderr == ""


def test_nothing_stays_open(ctx: Any) -> None:
    run(ctx, nothing).close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        run(ctx, nothing).close()
        run(ctx, nothing)
    gc.collect()
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)
