"""Programs whose main module no child may import, under every start method."""

from pathlib import Path

import pytest

from tests.kit import Result, run_python, run_script

PROGRAM = """
import os, sys
import procession

METHOD = {method!r}
ctx = procession.get_context(METHOD)
print("top level")

class Point:
    def __init__(self, x):
        self.x = x

    def double(self):
        return Point(2 * self.x)

class Worker(ctx.Process):
    def __init__(self, queue, point):
        super().__init__()
        self.queue, self.point = queue, point

    def run(self):
        self.queue.put(self.point.double())

def nested(queue, point):
    child = procession.get_context(METHOD).Process(target=work, args=(queue, point))
    child.start()
    child.join()
    assert child.exitcode == 0

def work(queue, point):
    queue.put(point.double())

queue = ctx.SimpleQueue()
for child in (
    ctx.Process(target=work, args=(queue, Point(1))),
    Worker(queue, Point(2)),
    ctx.Process(target=nested, args=(queue, Point(3))),
    ctx.Process(target=lambda q: q.put(Point(8)), args=(queue,)),
):
    child.start()
    result = queue.get()
    child.join()
    assert type(result) is Point and child.exitcode == 0, (result, child)
    print(result.x)
"""


@pytest.fixture
def program(method: str) -> str:
    return PROGRAM.format(method=method)


def checked(result: Result) -> None:
    assert result.check().stdout.split("\n") == ["top level", "2", "4", "6", "8", ""], result.report()
    assert "Traceback" not in result.stderr, result.report()


def cells(program: str) -> list[str]:
    """The blocks, without blank lines in them, which would end them in the REPL."""
    return program.strip().replace("\n\n    ", "\n    ").split("\n\n")


def test_a_script_without_a_guard(program: str) -> None:
    checked(run_script(program))


def test_a_script_from_stdin(program: str) -> None:
    checked(run_python("-", stdin=program))


def test_dash_c(program: str) -> None:
    checked(run_python("-c", program))


def test_the_repl(program: str) -> None:
    result = run_python("-i", "-q", stdin="\n\n".join(cells(program)) + "\n\n")
    checked(result)


def test_a_package_run_by_its_main_module(program: str, tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/__init__.py").touch()
    (tmp_path / "pack/__main__.py").write_text(program, encoding="utf-8")
    checked(run_python("-m", "pack", cwd=tmp_path))


def test_a_folder_that_is_run(program: str, tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text(program, encoding="utf-8")
    checked(run_python(str(tmp_path)))


def test_a_notebook(program: str) -> None:
    """Cells are compiled under names that are no files, and run in a `__main__` made for them."""
    kernel = f"""
        import sys, types
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        for number, cell in enumerate({cells(program)!r}):
            exec(compile(cell, f"/tmp/ipykernel_1/{{number}}.py", "exec"), vars(main))
    """
    checked(run_script(kernel))


# ---- guarded -------------------------------------------------------------------------------

GUARDED = """
import os, sys
import procession

IMPORTED = [__name__]

def work(queue):
    queue.put((IMPORTED, __name__, sys.argv[1:], work.__module__))

if __name__ == "__main__":
    IMPORTED.append("main")
    ctx = procession.get_context(sys.argv[1])
    queue = ctx.SimpleQueue()
    child = ctx.Process(target=work, args=(queue,))
    child.start()
    print(*queue.get())
    child.join()
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_guarded_script_is_imported_as_documented(method: str, tmp_path: Path) -> None:
    result = run_script(GUARDED, method).check()
    assert result.stdout.strip() == f"['__mp_main__'] __mp_main__ ['{method}'] __mp_main__"
    (tmp_path / "module.py").write_text(GUARDED, encoding="utf-8")
    result = run_python("-m", "module", method, cwd=tmp_path).check()
    assert result.stdout.strip() == f"['__mp_main__'] __mp_main__ ['{method}'] __mp_main__"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_main_has_no_names_of_ours(method: str) -> None:
    result = run_python(
        "-c",
        f"""
import sys, procession

def names(queue):
    main = sys.modules["__main__"]
    queue.put([name for name in vars(main) if not name.startswith("_")])

ctx = procession.get_context({method!r})
queue = ctx.SimpleQueue()
child = ctx.Process(target=names, args=(queue,))
child.start()
print(set(queue.get()) - {{"sys", "names", "procession"}})
child.join()
""",
    ).check()
    assert result.stdout.strip() == "set()"
