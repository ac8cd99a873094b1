"""What a program sees of the interpreter, and what is seen of the program."""

import py_compile
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.kit import run_python

from .side_by_side import LAUNCHER, alike

SHOW = """
"a docstring"
import sys
names = {name: value for name, value in globals().items() if name != "__builtins__"}
print(names)
print(type(__builtins__), sys.argv, sys.path[0], sys.flags)
main = sys.modules["__main__"]
print(main, vars(main) is globals(), sys.modules.get("__mp_main__", main) is main)
"""

FAIL = """
import sys

class Bad:
    def __init__(self):
        raise ValueError(self.__class__)

def fail():
    try:
        Bad()
    except ValueError as error:
        raise RuntimeError("twice") from error

fail()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a script, a package and a folder to run."""
    package = [f"package/{name}.py" for name in ("__main__", "__init__", "part")]
    for name in ["show.py", "-odd.py", *package, "folder/__main__.py"]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(SHOW, encoding="utf-8")
    (tmp_path / "fail.py").write_text(FAIL, encoding="utf-8")
    (tmp_path / "broken.py").write_text("import sys\nx = (\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["show.py", "a", "-m", "--follow"],
        ["./show.py"],
        ["package/../show.py"],
        ["-m", "show", "-c"],
        ["-mshow"],
        ["-m", "package", "x"],
        ["-m", "package.part"],
        ["folder", "1"],
        ["-c", SHOW, "1", "2"],
        ["-c" + SHOW],
        ["--", "show.py", "--", "-c"],
        ["--", "-odd.py", "x"],
    ],
    ids=lambda words: " ".join(words)[:20].strip(),
)
def test_the_program_finds_itself_as_under_python(place: Path, words: list[str]) -> None:
    alike(*words, cwd=place).check()


@pytest.mark.parametrize(
    "flag", ["-P", "-I", "-E", "-s", "-u", "-O", "-OO", "-B", "-b", "-Wdefault", "-Xdev"]
)
def test_flags_of_the_interpreter_are_the_programs(place: Path, flag: str) -> None:
    alike("show.py", cwd=place, flags=(flag,))


@pytest.mark.parametrize("flag", ["-P", "-I"])
@pytest.mark.parametrize("words", [["-m", "show"], ["-c", SHOW], ["folder"]], ids=lambda words: words[0])
def test_where_the_path_begins(place: Path, flag: str, words: list[str]) -> None:
    alike(*words, cwd=place, flags=(flag,))


def test_from_another_folder_and_through_a_link(place: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "link").symlink_to(place / "show.py")
    alike(str(tmp_path / "bin" / "link"), cwd=tmp_path / "bin").check()
    alike("bin/link", cwd=tmp_path).check()
    alike(str(place / "folder"), cwd=tmp_path / "bin").check()


def test_an_archive_and_a_compiled_file(place: Path) -> None:
    with zipfile.ZipFile(place / "archive.pyz", "w") as archive:
        archive.writestr("__main__.py", SHOW)
    py_compile.compile(str(place / "show.py"), cfile=str(place / "compiled.pyc"))
    alike("archive.pyz", "x", cwd=place).check()
    alike("compiled.pyc", cwd=place).check()


@pytest.mark.parametrize("text", [SHOW, FAIL, "x = (", "import sys\nprint(sys.stdin.read())", ""])
def test_standard_input(place: Path, text: str) -> None:
    alike("-", "a", cwd=place, stdin=text)
    alike("--", "-", "a", cwd=place, stdin=text)


@pytest.mark.parametrize(
    "words",
    [
        ["fail.py"],
        ["-m", "fail"],
        ["-c", FAIL],
        ["broken.py"],
        ["-m", "broken"],
        ["-c", "x ="],
        ["missing.py"],
        ["-m", "missing"],
        ["-m", "missing.part"],
        ["-m", "show.part"],
        ["."],
        ["-c", "import sys; sys.exit('a reason')"],
        ["-c", "import sys; sys.exit(7)"],
        ["-c", "import sys; sys.exit(None)"],
        ["-c", "import sys; sys.exit([1])"],
        ["-c", "raise SystemExit"],
        ["-c", "raise KeyboardInterrupt"],
        ["-c", "raise GeneratorExit"],
        ["-c", "import os; os._exit(3)"],
        ["-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"],
        ["-c", "import os, signal; os.kill(os.getpid(), signal.SIGINT)"],
        ["-c", "import os; os.abort()"],
        ["-c", "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])"],
        ["-c", "import sys; sys.stdout.close()"],
        ["-c", "import sys; print('out'); print('err', file=sys.stderr); 1/0"],
    ],
    ids=lambda words: " ".join(words)[-30:].strip(),
)
def test_the_program_ends_as_under_python(place: Path, words: list[str]) -> None:
    # After an abort faulthandler would list all modules that are loaded.
    alike(*words, cwd=place, env={"PYTHONFAULTHANDLER": ""})


def test_endless_recursion_is_an_error() -> None:
    result = run_python(*LAUNCHER, "-c", "f = lambda: f()\nf()")
    assert result.returncode == 1
    assert "RecursionError: maximum recursion depth exceeded" in result.stderr
    assert "procession" not in result.stderr


HOOK = """
import atexit, sys
def hook(kind, value, traceback):
    frames = []
    while traceback:
        frames.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    print("hook", kind, value, frames, value.__traceback__.tb_frame.f_code.co_name)
@atexit.register
def at_exit():
    print(sys.excepthook is hook, sys.last_type, sys.last_traceback.tb_frame.f_code.co_name)
print(sys.excepthook is sys.__excepthook__)
sys.excepthook = hook
def f(): 1/0
f()
"""


def test_an_excepthook_sees_the_programs_frames_alone() -> None:
    result = alike("-c", HOOK)
    assert "['<module>', 'f']" in result.stdout


EXIT = """
import atexit, sys, threading, time
import multiprocessing
def late(): print("late handler"), sys.stdout.flush()
def work(t):
    import signal
    time.sleep(t)
    print("child done", flush=True)
def thread():
    time.sleep(0.3)
    print("thread done", __name__, sys.modules["__main__"].__dict__ is globals(), flush=True)
if __name__ == "__main__":
    atexit.register(print, "first", flush=True)
    multiprocessing.get_context(METHOD).Process(target=work, args=(0.5,)).start()
    atexit.register(print, "second", flush=True)
    threading.Thread(target=thread).start()
    print("end of main", flush=True)
"""


def test_order_of_the_end(tmp_path: Path, method: str) -> None:
    """Threads are joined, then exit handlers run, that of multiprocessing where it was registered."""
    (tmp_path / "end.py").write_text(f"METHOD = {method!r}\n{EXIT}", encoding="utf-8")
    alike("end.py", cwd=tmp_path).check()


WAIT = """
import signal, sys, time
try:
    # One line, since the signal may come before the sleep has begun.
    print("ready", flush=True); time.sleep(60)
finally:
    print("finally", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_program(number: signal.Signals) -> None:
    results = []
    for launcher in ([], LAUNCHER):
        command = [sys.executable, *launcher, "-c", WAIT]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        results.append((*process.communicate(timeout=30), process.returncode))
    assert results[0] == results[1]


def test_profilers_and_debuggers_see_the_program_alone(place: Path) -> None:
    (place / "busy.py").write_text("def f(n): return n and f(n - 1)\nprint(f(5))\n", encoding="utf-8")

    def functions(*words: str) -> list[str]:
        lines = run_python(*words, cwd=place).check().stdout.splitlines()
        return sorted(line.split()[-1] for line in lines if "(" in line and "{" not in line)

    profile = ["-m", "cProfile", "busy.py"]
    assert functions(*LAUNCHER, *profile) == functions(*profile)
    alike("-m", "pdb", "busy.py", cwd=place, stdin="b f\nc\nw\nq\n")
    alike("-m", "trace", "--count", "--missing", "-C", str(place), "busy.py", cwd=place)


def test_tracing_from_outside(place: Path) -> None:
    """A tool that runs the launcher as its program sees the launcher, and the program runs."""
    result = run_python("-m", "cProfile", *LAUNCHER, "-c", "print('ran')", cwd=place)
    assert "ran" in result.check().stdout


def test_warnings_are_shown_for_the_program() -> None:
    text = "import warnings\nwarnings.warn('old', DeprecationWarning)\nprint(__warningregistry__)\n"
    alike("-c", text)


def test_interactive_afterwards() -> None:
    alike("-c", "x = 5", flags=("-i",), stdin="print(x)\n")
    after = "print(x)\nimport sys; print(sys.last_traceback.tb_lineno)\n"
    alike("-c", "x = 6; 1/0", flags=("-i",), stdin=after)


def test_nothing_of_the_launcher_is_in_main() -> None:
    text = "print([name for name, value in list(globals().items()) if 'procession' in repr(value)])"
    assert run_python(*LAUNCHER, "-c", text).check().stdout == "[]\n"
