"""What of ``__main__`` a child can import, asked in real programs of every kind."""

import itertools
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from procession import _main
from tests.kit import run_python, run_script

ASK = """
import json
from procession import _main

def ask(*things):
    answers = [_main.travels_by_name(thing) for thing in things]
    print(json.dumps([_main.importable_main(), *answers]))
"""

GUARDED = (
    ASK
    + """
def f(): pass

if __name__ == "__main__":
    def inner(): pass
    ask(f, inner)
"""
)

UNGUARDED = (
    ASK
    + """
def f(): pass

ask(f)
"""
)


def answers(output: str) -> list[Any]:
    return [json.loads(line) for line in output.splitlines()]


def asked(text: str, **given: Any) -> list[Any]:
    """The answers that a script prints."""
    return answers(run_script(text, **given).check().stdout)


# ---- importable_main -----------------------------------------------------------------------


def test_a_guarded_script_can_be_imported() -> None:
    assert asked(GUARDED) == [[True, True, False]]


def test_a_script_without_a_guard_cannot() -> None:
    assert asked(UNGUARDED) == [[False, False]]


@pytest.mark.parametrize(
    "guard",
    [
        'if "__main__" == __name__:\n    ask(f)',
        'if __name__ != "__main__":\n    pass\nelse:\n    ask(f)',
        'if False:\n    pass\nelif __name__ == "__main__":\n    ask(f)',
        'try:\n    if __name__ == "__main__":\n        ask(f)\nfinally:\n    pass',
        '__name__ == "__main__" and ask(f)',
        'ask(f) if __name__ == "__main__" else None',
        'match __name__:\n    case "__main__":\n        ask(f)',
        'while __name__ == "__main__":\n    ask(f)\n    break',
    ],
)
def test_a_guard_has_many_forms(guard: str) -> None:
    assert asked(f"{ASK}\ndef f(): pass\n{guard}\n") == [[True, True]]


@pytest.mark.parametrize(
    "line",
    [
        "name = __name__",
        "print(end=__name__[:0])",
        'level = 1 if __name__ == "__main__" else 2',
        "def g():\n    if __name__ == '__main__': pass",
        "class C:\n    if __name__ == '__main__': pass",
    ],
)
def test_a_mention_of_the_name_is_no_guard(line: str) -> None:
    assert asked(f"{ASK}\ndef f(): pass\n{line}\nask(f)\n") == [[False, False]]


def test_a_module_run_by_m_is_asked_for_its_guard_too(tmp_path: Path) -> None:
    package = tmp_path / "parcel"
    package.mkdir()
    (package / "__init__.py").touch()
    for name, text in {"guarded": GUARDED, "unguarded": UNGUARDED, "__main__": GUARDED}.items():
        (package / f"{name}.py").write_text(text)
    assert answers(run_python("-m", "parcel.guarded", cwd=tmp_path).check().stdout) == [[True, True, False]]
    assert answers(run_python("-m", "parcel.unguarded", cwd=tmp_path).check().stdout) == [[False, False]]
    # As in the stdlib: what a package does when it is run is not run again in children.
    assert answers(run_python("-m", "parcel", cwd=tmp_path).check().stdout) == [[False, False, False]]


def test_a_folder_that_is_run_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text(GUARDED)
    assert answers(run_python(str(tmp_path)).check().stdout) == [[False, False, False]]


def test_a_module_in_an_archive_is_read_there(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("boxed.py", GUARDED)
    run = run_python("-m", "boxed", env={"PYTHONPATH": str(tmp_path / "archive.zip")}).check()
    assert answers(run.stdout) == [[True, True, False]]


def test_what_is_no_file_cannot_be_imported() -> None:
    for run in (run_python("-c", GUARDED), run_python("-", stdin=GUARDED), run_python("-i", stdin=GUARDED)):
        assert answers(run.check().stdout) == [[False, False, False]]


def test_after_a_script_the_prompt_has_no_file_any_more(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(GUARDED)
    run = run_python("-i", str(tmp_path / "script.py"), stdin="def g(): pass\n\nask(f, g)\n").check()
    assert answers(run.stdout) == [[True, True, False], [False, False, False]]


def test_a_script_whose_source_is_gone_cannot_be_imported() -> None:
    assert asked("import os; os.unlink(__file__)\n" + GUARDED) == [[False, False, False]]


def test_the_source_is_read_once() -> None:
    # An editor that saves the file while the program runs must not change the answers.
    text = GUARDED + "    open(__file__, 'w').write('def f(')\n    ask(f)\n"
    assert asked(text) == [[True, True, False], [True, True]]


def test_a_script_found_from_another_folder(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(f"import os; os.chdir('/')\n{GUARDED}")
    assert answers(run_python("script.py", cwd=tmp_path).check().stdout) == [[True, True, False]]


def test_warnings_of_the_source_are_not_shown_again() -> None:
    run = run_script(GUARDED + "    text = '\\d'\n").check()
    assert run.stderr.count("invalid escape") <= 1
    assert answers(run.stdout) == [[True, True, False]]


def test_the_launcher_of_ipython_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ipython").write_text(GUARDED)
    assert answers(run_python(str(tmp_path / "ipython")).check().stdout) == [[False, False, False]]


def test_here_main_is_pytests() -> None:
    # By -m its __main__ is never run in children; its script has a guard and nothing of ours.
    assert _main.importable_main() is (sys.modules["__main__"].__spec__ is None)


def test_an_imported_main_gives_its_childs_children_the_same_answer() -> None:
    text = f"""
{ASK}
import multiprocessing

def f(): pass

def child(deeper):
    ask(f, child)
    if deeper:
        process = multiprocessing.get_context("spawn").Process(target=child, args=(deeper - 1,))
        process.start()
        process.join()

if __name__ == "__main__":
    child(2)
"""
    assert asked(text) == [[True, True, True]] * 3


# ---- travels_by_name -----------------------------------------------------------------------

DEFINITIONS = """
import abc, collections, dataclasses, enum, functools, typing

def plain(): pass
async def asynchronous(): pass
def generator(): yield

def wrapping(function):
    @functools.wraps(function)
    def wrapper(): pass
    return wrapper

def unwrapping(function):
    def wrapper(): pass
    wrapper.__name__ = function.__name__
    wrapper.__qualname__ = function.__qualname__
    return wrapper

@wrapping
def wrapped(): pass

@wrapping
@wrapping
def doubly(): pass

@unwrapping
def hidden(): pass

@functools.lru_cache(
    maxsize=3,
)
def cached(): pass

class Class:
    def method(self): pass
    @staticmethod
    def static(): pass
    class Nested:
        def method(self): pass

@dataclasses.dataclass(slots=True)
class Data:
    x: int

class Colour(enum.Enum):
    RED = 1

class Abstract(abc.ABC):
    @abc.abstractmethod
    def method(self): pass

class Point(typing.NamedTuple):
    x: int

Tuple = collections.namedtuple("Tuple", "x")
Made = type("Made", (), {})
Alias = typing.NewType("Alias", int)
try:
    def tried(): pass
except ImportError:
    pass
if True:
    def branched(): pass
else:
    def branched(): pass
for twice in range(2):
    def looped(): pass
"""

BY_NAME = [
    *("plain", "asynchronous", "generator", "wrapped", "doubly", "hidden", "cached", "Class", "Data"),
    *("Class.method", "Class.static", "Class.Nested", "Class.Nested.method", "Colour", "Abstract", "Point"),
    *("Tuple", "Made", "Alias", "tried", "branched", "looped", "json.dumps"),
]


def test_what_the_source_defines_goes_by_name() -> None:
    text = f'{ASK}{DEFINITIONS}\nif __name__ == "__main__":\n    ask({", ".join(BY_NAME)})\n'
    assert asked(text) == [[True, *itertools.repeat(True, len(BY_NAME))]]


def test_all_else_goes_by_value() -> None:
    text = f"""{ASK}{DEFINITIONS}
square = lambda x: x * x
def maker():
    def local(): pass
    class Local: pass
    return local, Local
made, Local = maker()
old_plain, old_class = plain, Class
with_other_name = type("Another", (), dict())

if __name__ == "__main__":
    for statement in (
        "def plain(): pass",
        "class Class:\\n    def method(self): pass",
        "def typed(): pass",
        "class Typed: pass",
        "@wrapping\\ndef wrapped(): pass",
    ):
        exec(compile(statement, "<stdin>", "exec"))
    ask(square, made, Local, old_plain, old_class, with_other_name, plain, Class, Class.method, typed, Typed)
    ask(wrapped)
"""
    assert asked(text) == [[True, *itertools.repeat(False, 11)], [True, False]]


def test_a_name_deleted_and_a_class_redefined_in_the_file_itself() -> None:
    text = f"""{ASK}
class Twice:
    def first(self): pass
class Twice:
    def second(self): pass
def gone(): pass
kept = gone
del gone
if __name__ == "__main__":
    ask(Twice, kept)
"""
    assert asked(text) == [[True, True, False]]


def test_names_of_the_guard_do_not_count_in_either_branch() -> None:
    text = textwrap.dedent(
        f"""{ASK}
if __name__ == "__main__":
    def chosen(): pass
else:
    def chosen(): pass
if __name__ == "__main__":
    ask(chosen)
"""
    )
    assert asked(text) == [[True, False]]


def test_what_other_modules_define_always_goes_by_name() -> None:
    assert _main.travels_by_name(json.dumps)
    assert _main.travels_by_name(Path)
