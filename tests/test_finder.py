"""The names of multiprocessing and what a process that has called install() finds under them."""

import ast
import multiprocessing
import pkgutil
from pathlib import Path

import pytest

import procession

from .installed import INSTALL, output

NAMES = sorted(
    module.name
    for module in pkgutil.walk_packages(multiprocessing.__path__, "multiprocessing.")
    if not module.name.endswith("win32")
)


# ---- names ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_module_is_processions_and_has_all_names(name: str) -> None:
    """Imported alone and first, as an editor's automatic import may have it."""
    ours = name.replace("multiprocessing", "procession", 1)
    # Of a fresh one: tests before this one may have made the stdlib add to its own.
    (names,) = output(f"import {name} as there; print(list(vars(there)))")
    text = f"""{INSTALL}
import {name} as there, {ours} as ours, sys
assert there is ours is sys.modules["{name}"], (there, ours)
assert there.__spec__.name in ("{ours}", "{name.replace("multiprocessing", "procession._stdlib", 1)}")
missing = [name for name in {names} if not hasattr(there, name)]
print(missing)
"""
    assert output(text) == ["[]"]


def test_the_package() -> None:
    names = list(vars(multiprocessing))
    text = f"""{INSTALL}
import multiprocessing, procession
assert multiprocessing is procession
print([name for name in {names} if not hasattr(multiprocessing, name)])
from multiprocessing import *
print(Process.__module__, Pool.__self__.__module__, cpu_count() > 0)
"""
    assert output(text) == ["[]", "procession.context procession.context True"]


def test_modules_are_found_as_attributes() -> None:
    """Programs say multiprocessing.connection.wait having imported something else of it."""
    names = [name.partition(".")[2] for name in NAMES if name.count(".") == 1]
    text = f"""{INSTALL}
import importlib, multiprocessing
found = [getattr(multiprocessing, name) for name in {names}]
print(found == [importlib.import_module("multiprocessing." + name) for name in {names}])
"""
    assert output(text) == ["True"]


@pytest.mark.parametrize("name", ["errors", "_main", "cli", "start", "no_such", "_stdlib", "_core"])
def test_nothing_else_is_found(name: str) -> None:
    text = f"""{INSTALL}
try:
    import multiprocessing.{name}
except ModuleNotFoundError as error:
    print(error)
"""
    (line,) = output(text)
    assert line.startswith(f"No module named 'multiprocessing.{name}'")


def test_what_this_system_lacks_is_told_as_ever() -> None:
    text = (
        "\ntry:\n    import multiprocessing.popen_spawn_win32\nexcept ImportError as error:\n    print(error)"
    )
    assert output(INSTALL + text) == output(text)


def test_importing_is_lazy() -> None:
    text = f"""{INSTALL}
import sys, multiprocessing, threading
print([n for n in ("queues", "pool", "managers", "util", "heap") if f"procession.{{n}}" in sys.modules])
late = ("pool", "util", "heap")
theirs = ("multiprocessing.", "procession._stdlib.")
print([n for n in sys.modules if n.startswith(theirs) and n.endswith(late)])
"""
    assert output(text) == ["[]", "[]"]


HOOK = """
import importlib.util, sys

class Loader:
    def __init__(self, loader):
        self.loader = loader
    def create_module(self, spec):
        return self.loader.create_module(spec)
    def exec_module(self, module):
        self.loader.exec_module(module)
        seen.append(module.__name__)

class Finder:
    asking = set()
    def find_spec(self, fullname, path=None, target=None):
        if fullname in self.asking:
            return None
        self.asking.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self.asking.remove(fullname)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = Loader(spec.loader)
        return spec

seen = []
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("first", [HOOK + INSTALL, INSTALL + HOOK], ids=["hook first", "procession first"])
def test_beside_finders_that_ask_all_others(first: str) -> None:
    """As tracers and the hooks of instrumentation do, to wrap what others load."""
    text = f"""{first}
import multiprocessing.connection, multiprocessing.pool, multiprocessing.queues, multiprocessing.managers
print(multiprocessing.pool.Pool.__module__, multiprocessing.queues.Queue.__module__)
print(multiprocessing.connection.Connection.__mro__[1].__module__)
print(multiprocessing.get_context("fork").Pool(1).apply(abs, (-3,)))
"""
    assert output(text) == ["procession.pool procession.queues", "procession._stdlib.connection", "3"]


def test_many_threads_import_at_once() -> None:
    text = f"""{INSTALL}
import importlib, sys, threading
names = {NAMES}
found, start = [], threading.Barrier(8)
def work(turn):
    start.wait()
    for name in names[turn:] + names[:turn]:
        importlib.import_module(name.replace("multiprocessing", "procession", 1))
        found.append((name, importlib.import_module(name)))
threads = [threading.Thread(target=work, args=(turn,)) for turn in range(8)]
[t.start() for t in threads], [t.join() for t in threads]
ours = {{name: sys.modules[name.replace("multiprocessing", "procession", 1)] for name in names}}
print(len(found) == 8 * len(names), [name for name, module in found if module is not ours[name]])
"""
    assert output(text) == ["True []"]


# ---- the stdlib's --------------------------------------------------------------------------


def test_the_stdlibs_modules_keep_to_themselves() -> None:
    """But for two things that `_install` has them share."""
    text = f"""{INSTALL}
import sys
from procession import managers, pool, queues, synchronize, connection
theirs = [m for n, m in sys.modules.items() if n.startswith("procession._stdlib.")]
for module in theirs:
    for name, value in vars(module).items():
        owners = [getattr(value, "__module__", None), getattr(value, "__name__", None)]
        ours = [o for o in map(str, owners) if o.startswith("procession") and "._stdlib" not in o]
        if ours and name not in ("_default_context", "Connection"):
            print(module.__name__, name, value)
print(len(theirs) > 10, {{m.__name__.partition(".")[0] for m in theirs}})
print({{m.__package__ for m in theirs}} | {{m.__spec__.parent for m in theirs}})
"""
    first, second = output(text, "-Werror")
    assert first == "True {'multiprocessing'}"
    assert set(eval(second)) == {"procession._stdlib"}


def test_there_is_one_of_each() -> None:
    """A module in memory twice would be two registries, two states, two of each class."""
    text = f"""{INSTALL}
import importlib, sys
for name in {NAMES}:
    importlib.import_module(name)
from collections import Counter
modules = {{id(m): m for n, m in sys.modules.items() if "procession" in n or "multiprocessing" in n}}
files = Counter(m.__file__ for m in modules.values() if getattr(m, "__file__", None))
print([file for file, count in files.items() if count > 1])
"""
    assert output(text) == ["[]"]


def test_state_is_one() -> None:
    text = f"""
import multiprocessing.process as before, multiprocessing.util as util, multiprocessing.reduction as reduction
{INSTALL}
import multiprocessing.process, multiprocessing.util, multiprocessing.reduction
print(before._children is multiprocessing.process._children, util is multiprocessing.util)
print(reduction.ForkingPickler is multiprocessing.reduction.ForkingPickler)
print(before.current_process() is multiprocessing.current_process())
multiprocessing.process._current_process.name = "renamed"
import logging
print(logging.LogRecord("", 0, "", 0, "", (), None).processName)
"""
    assert output(text) == ["True True", "True", "True", "renamed"]


def test_patches_reach_who_looks() -> None:
    text = f"""{INSTALL}
import multiprocessing.spawn, procession._stdlib
multiprocessing.spawn.get_preparation_data = "patched"
print(procession._stdlib.spawn.get_preparation_data)
import unittest.mock
with unittest.mock.patch("multiprocessing.resource_tracker.register") as register:
    print(procession._stdlib.resource_tracker.register is register)
"""
    assert output(text) == ["patched", "True"]


def test_by_its_other_name_it_is_the_same_in_programs_that_are_no_children() -> None:
    """As loky's workers are, which unpickle what the stdlib's classes in a program of ours are called."""
    text = """
import procession._stdlib.queues as queues, procession._stdlib.dummy.connection as connection
import multiprocessing.queues, multiprocessing.dummy.connection
print(queues is multiprocessing.queues, connection is multiprocessing.dummy.connection)
print(queues.__spec__.name, multiprocessing.Process.__module__)
"""
    assert output(text) == ["True True", "multiprocessing.queues multiprocessing.context"]


def test_rooms_import_names_from_the_stdlibs_module() -> None:
    """In a room of procession ``from multiprocessing import x`` means the stdlib's; nothing else does."""
    rooms = Path(procession.__file__).parent
    for path in sorted(rooms.rglob("*.py")):
        if path.name != "_stdlib.py" and "follow" not in path.parts:
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
            assert not [name for name in names if name.partition(".")[0] == "multiprocessing"], path
