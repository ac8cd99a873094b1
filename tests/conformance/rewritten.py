"""The interpreter's test modules, speaking of the module under test, as a package of their own."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

METHODS = ("fork", "spawn", "forkserver")
PACKAGE = "conformed"

_HERE = Path(__file__).parent
_SOURCE = _HERE.parent.parent / "src"

# The word alone: not in a longer name, not behind a dot, and not in the text of the warning about
# pools, which programs may filter by.
_NAME = re.compile(r"(?<![\w.])multiprocessing(?!\w| pool)")
_TEST_MODULES = re.compile(r"(?<!\w)test(?=\.(_?test_multiprocessing|mp_))")
# Interpreters that the tests start must find the module under test, which these switches hide.
_SWITCHES = re.compile(r"'-[ES]', ")

_ENTRY = """\
from {package} import _test_multiprocessing as suite

suite.install_tests_in_module_dict(globals(), {method!r})
"""


def rewrite(source: str, module: str) -> str:
    """The text of a test module of CPython's, with `module` in the place of multiprocessing."""
    return _NAME.sub(module, _TEST_MODULES.sub(PACKAGE, _SWITCHES.sub("", source)))


@contextmanager
def package(python: str, module: str) -> Iterator[Path]:
    """A folder with a ``lib`` to import the rewritten tests from, and room for what they leave.

    `python`: the interpreter whose tests they are.  LookupError if it comes without its tests.
    """
    folder = Path(tempfile.mkdtemp(prefix="conf-"))  # short: the paths of sockets lie within
    try:
        _fill(folder / "lib" / PACKAGE, _tests_of(python), module)
        (folder / "tmp").mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def search_path(folder: Path) -> list[str]:
    """Where the interpreter finds the tests, the project, and what the project needs."""
    return [str(folder / "lib"), str(_SOURCE)]


def _fill(room: Path, tests: Path, module: str) -> None:
    room.mkdir(parents=True)
    (room / "__init__.py").touch()
    shutil.copy(_HERE / "child.py", room)
    for path in (tests / "_test_multiprocessing.py", *tests.glob("mp_*.py")):
        (room / path.name).write_text(rewrite(path.read_text("utf-8"), module), "utf-8")
    for method in METHODS:
        entry = _ENTRY.format(package=PACKAGE, method=method)
        (room / f"test_multiprocessing_{method}.py").write_text(entry, "utf-8")
    _lend("cloudpickle", room.parent)


def _lend(name: str, folder: Path) -> None:
    """A requirement of ours, for interpreters that have nothing installed."""
    spec = find_spec(name)
    assert spec is not None, f"{name} is a requirement of this project"
    assert spec.submodule_search_locations is not None
    shutil.copytree(spec.submodule_search_locations[0], folder / name)


def _tests_of(python: str) -> Path:
    program = "import importlib.util as u; print(u.find_spec('test._test_multiprocessing').origin)"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LookupError(f"{python} comes without the tests of CPython")
    return Path(done.stdout.strip()).parent
