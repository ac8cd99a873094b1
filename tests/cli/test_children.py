"""Programs of several processes: the same output as under plain Python, and procession's classes in all."""

from pathlib import Path

import pytest

from tests.kit import run_python

from .side_by_side import LAUNCHER, alike

NESTED = """
import sys
import multiprocessing as mp

class Point:
    def __init__(self, *at):
        self.at = at

def tell(connection, method, depth):
    main = sys.modules["__main__"]
    same = main is sys.modules["__mp_main__"]
    connection.send((depth, same, main.__name__, Point(depth), mp.get_start_method()))
    if depth:
        below, other = mp.Pipe()
        process = mp.get_context(method).Process(target=tell, args=(other, method, depth - 1))
        process.start()
        for _ in range(depth):
            connection.send(below.recv())
        process.join()
        assert process.exitcode == 0

if __name__ == "__main__":
    method = METHOD
    here, there = mp.Pipe()
    process = mp.get_context(method).Process(target=tell, args=(there, method, 2), name="first")
    process.start()
    for _ in range(3):
        *seen, point, settled = here.recv()
        print(seen, type(point) is Point, point.at, settled)
    process.join()
    print(process, mp.get_all_start_methods()[0], mp.get_start_method())
"""

POOL = """
import multiprocessing.pool
from multiprocessing import *

class Square:
    def __init__(self, side):
        self.side = side
    def __eq__(self, other):
        return type(other) is type(self) and other.side == self.side

def area(square):
    return square.side ** 2
def grow(square):
    return Square(square.side + 1)
def fail(x):
    raise ValueError(x)
def init(word):
    global given
    given = word
def ask(_):
    return given, current_process().daemon

if __name__ == "__main__":
    context = get_context(METHOD)
    with context.Pool(2, init, ("word",)) as pool:
        print(isinstance(pool, multiprocessing.pool.Pool))
        print(pool.map(area, [Square(i) for i in range(10)]))
        print(pool.map(grow, [Square(1), Square(2)]) == [Square(2), Square(3)])
        print(set(pool.imap_unordered(ask, range(5))), pool.apply(divmod, (7, 2)))
        try:
            pool.map(fail, [1])
        except ValueError as error:
            print(repr(error), "in fail" in str(error.__cause__))
    with multiprocessing.pool.ThreadPool(2) as pool:
        print(pool.map(abs, [-1, 2]))
    from multiprocessing.dummy import Pool
    with Pool(2) as pool:
        print(pool.map(abs, [-3]))
"""

EXECUTOR = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
import os

class Thing:
    pass

def make(n):
    thing = Thing()
    thing.n = n
    return thing
def die(_):
    os._exit(3)

if __name__ == "__main__":
    context = multiprocessing.get_context(METHOD)
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        print([thing.n for thing in executor.map(make, range(5), chunksize=2)])
        print(all(type(f.result()) is Thing for f in as_completed([executor.submit(make, 1)])))
        try:
            executor.submit(len, 5).result()
        except TypeError as error:
            print(error)
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        try:
            executor.submit(die, 1).result()
        except BrokenProcessPool as error:
            print(error)
"""

LOGGED = """
import logging, sys
from multiprocessing import get_context, log_to_stderr, get_logger
from multiprocessing.util import info

def work():
    logging.warning("in a child")
    info("as told")

logging.basicConfig(format="%(processName)s %(name)s %(levelname)s %(message)s", stream=sys.stdout)
if __name__ == "__main__":
    logging.warning("in main")
    process = get_context(METHOD).Process(target=work, name="a name")
    process.start()
    process.join()
    print(process.exitcode)
"""

EXITS = """
import os, signal, sys
import multiprocessing as mp

def leave(how):
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "raise":
        raise ValueError("from the child")
    elif how == "_exit":
        os._exit(9)
    else:
        sys.exit(how)

if __name__ == "__main__":
    for how in ("kill", "raise", "_exit", 5, "text", None):
        process = mp.get_context(METHOD).Process(target=leave, args=(how,))
        process.start()
        process.join()
        print(how, process.exitcode, flush=True)
"""

OBJECTS = """
import multiprocessing.connection, multiprocessing.queues, multiprocessing.synchronize
import multiprocessing as mp
from multiprocessing.managers import BaseManager

def work(lock, event, queue, value, array, condition, barrier, connection):
    with lock:
        value.value += 1
        array[0] += 2
    event.wait()
    queue.put([type(x).__name__ for x in (lock, event, queue, condition, barrier, connection)])
    barrier.wait()
    connection.send(b"end")

if __name__ == "__main__":
    c = mp.get_context(METHOD)
    event, queue, value, array = c.Event(), c.Queue(), c.Value("i", 1), c.Array("d", [1.5, 2])
    reader, writer = c.Pipe(duplex=False)
    barrier, lock, condition = c.Barrier(2), c.Lock(), c.Condition()
    arguments = lock, event, queue, value, array, condition, barrier, writer
    process = c.Process(target=work, args=arguments)
    process.start()
    event.set()
    print(queue.get())
    barrier.wait()
    print(multiprocessing.connection.wait([reader]) == [reader], reader.recv())
    process.join()
    print(process.exitcode, value.value, array[:], isinstance(queue, multiprocessing.queues.Queue))
"""

STREAMS = """
import multiprocessing as mp, sys

def work():
    print([sys.stdin.read(), sys.stdin.isatty()], end="")
    print("told", file=sys.stderr, end="")
    sys.stdout.write(" no newline")

if __name__ == "__main__":
    print(sys.stdin.readline().strip(), end=", ")
    process = mp.get_context(METHOD).Process(target=work)
    process.start()
    process.join()
    print(",", sys.stdin.readline().strip())
"""

PROGRAMS = {
    "nested": NESTED,
    "pool": POOL,
    "executor": EXECUTOR,
    "logged": LOGGED,
    "exits": EXITS,
    "objects": OBJECTS,
}


@pytest.fixture
def place(tmp_path: Path, method: str) -> Path:
    """The programs for a start method, alone and in a package."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    for name, text in PROGRAMS.items():
        for folder in (tmp_path, package):
            (folder / f"{name}.py").write_text(f"METHOD = {method!r}\n{text}", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_script_does_the_same(place: Path, name: str) -> None:
    alike(f"{name}.py", cwd=place).check()


def test_standard_streams(tmp_path: Path, method: str) -> None:
    """A child has nothing to read, and what it wrote is not lost."""
    (tmp_path / "streams.py").write_text(f"METHOD = {method!r}\n{STREAMS}", encoding="utf-8")
    result = alike("streams.py", cwd=tmp_path, stdin="first\nsecond\n", flags=("-u",)).check()
    assert result.stdout == "first, ['', False] no newline, second\n"
    alike("streams.py", cwd=tmp_path, stdin="first\nsecond\n")


FLAGS = """
import multiprocessing, sys, warnings

def tell(depth):
    flags = sys.flags
    seen = flags.optimize, flags.dev_mode, flags.utf8_mode, flags.bytes_warning, flags.dont_write_bytecode
    kept = {name: value for name, value in sys._xoptions.items() if name != "frozen_modules"}
    print(__debug__, seen, sys.warnoptions, kept, flush=True)
    if depth:
        process = multiprocessing.get_context(METHOD).Process(target=tell, args=(depth - 1,))
        process.start()
        process.join()

if __name__ == "__main__":
    tell(2)
"""


@pytest.mark.parametrize(
    "flags",
    [
        ["-O"],
        ["-OO", "-B"],
        ["-Werror::ResourceWarning", "-Wdefault"],
        ["-Xdev"],
        ["-Xutf8", "-Xfaulthandler"],
    ],
    ids=" ".join,
)
def test_flags_of_the_interpreter_reach_every_child(tmp_path: Path, method: str, flags: list[str]) -> None:
    (tmp_path / "flags.py").write_text(f"METHOD = {method!r}\n{FLAGS}", encoding="utf-8")
    result = alike("flags.py", cwd=tmp_path, flags=tuple(flags)).check()
    assert len(result.stdout.splitlines()) == 3
    if flags[0] in {"-O", "-OO", "-Xdev"}:
        assert len(set(result.stdout.splitlines())) == 1


TRACER = """
import sys
from multiprocessing import spawn
from multiprocessing.process import BaseProcess

# As coverage and tracers do it: a way to prepare children, and one to run in them.
class Stowaway:
    def __getstate__(self):
        return {"word": "stowed"}
    def __setstate__(self, state):
        patch(state["word"])

def patch(word):
    before = BaseProcess._bootstrap
    if hasattr(before, "word"):
        return
    def bootstrap(self, *args, **kwargs):
        seen = []
        sys.setprofile(lambda frame, event, _: seen.append(frame.f_code.co_name) if event == "call" else None)
        try:
            return before(self, *args, **kwargs)
        finally:
            sys.setprofile(None)
            print(word, "work" in seen, flush=True)
    bootstrap.word = word
    BaseProcess._bootstrap = bootstrap
    prepare = spawn.get_preparation_data
    def with_stowaway(name):
        return prepare(name) | {"stowaway": Stowaway()}
    spawn.get_preparation_data = with_stowaway
"""

TRACED = """
import multiprocessing, tracer

def work():
    pass

if __name__ == "__main__":
    tracer.patch("stowed")
    process = multiprocessing.get_context(METHOD).Process(target=work)
    process.start()
    process.join()
    with multiprocessing.get_context(METHOD).Pool(1) as pool:
        pool.apply(work)
        pool.close()
        pool.join()
"""


def test_tracers_see_what_children_run(tmp_path: Path, method: str) -> None:
    (tmp_path / "tracer.py").write_text(TRACER, encoding="utf-8")
    (tmp_path / "traced.py").write_text(f"METHOD = {method!r}\n{TRACED}", encoding="utf-8")
    assert alike("traced.py", cwd=tmp_path).check().stdout == "stowed True\nstowed True\n"


@pytest.mark.parametrize("name", ["nested", "pool"])
def test_a_module_does_the_same(place: Path, name: str) -> None:
    alike("-m", f"package.{name}", cwd=place).check()


WHOSE = """
import sys
import multiprocessing
import multiprocessing.connection, multiprocessing.queues, multiprocessing.pool
from concurrent.futures import process as futures

def whose():
    packages = [multiprocessing.Process, multiprocessing.queues.Queue, multiprocessing.connection.Connection]
    packages += futures._SafeQueue.__mro__[1], futures.mp.Process
    return {thing.__module__.partition(".")[0] for thing in packages}

def tell(queue, method, depth):
    queue.put(whose())
    if depth:
        process = multiprocessing.get_context(method).Process(target=tell, args=(queue, method, depth - 1))
        process.start()
        process.join()

if __name__ == "__main__":
    for method in "fork", "spawn", "forkserver":
        for other in "fork", "spawn", "forkserver":
            context = multiprocessing.get_context(method)
            queue = context.Queue()
            process = context.Process(target=tell, args=(queue, other, 2))
            process.start()
            process.join()
            print(method, other, [queue.get() for _ in range(3)])
"""


def test_every_descendant_gets_procession(tmp_path: Path) -> None:
    (tmp_path / "whose.py").write_text(WHOSE, encoding="utf-8")
    lines = run_python(*LAUNCHER, "whose.py", cwd=tmp_path).check().stdout.splitlines()
    assert len(lines) == 9
    assert all(line.endswith("[{'procession'}, {'procession'}, {'procession'}]") for line in lines), lines


UNGUARDED = """
import multiprocessing
def work(x):
    return x * FACTOR
FACTOR = 3
with multiprocessing.get_context(METHOD).Pool(2) as pool:
    print(pool.map(work, range(4)))
"""


@pytest.mark.parametrize("how", ["script", "-c", "-", "package"])
def test_an_unguarded_program(tmp_path: Path, method: str, how: str) -> None:
    """Under fork as under plain Python; elsewhere that would fail, and here its functions travel."""
    text = f"METHOD = {method!r}\n{UNGUARDED}"
    (tmp_path / "script.py").write_text(text, encoding="utf-8")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text(text, encoding="utf-8")
    words = {"script": ["script.py"], "-c": ["-c", text], "-": ["-"], "package": ["-m", "package"]}[how]
    run = alike if method == "fork" else lambda *words, **how: run_python(*LAUNCHER, *words, **how)
    result = run(*words, cwd=tmp_path, stdin=text if how == "-" else None)
    assert result.check().stdout == "[0, 3, 6, 9]\n"
