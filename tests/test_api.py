"""The whole API: every name of the running interpreter's multiprocessing, taking the same calls."""

import importlib
import inspect
import multiprocessing
import pkgutil
import types
from collections.abc import Iterator
from typing import Any

import pytest

import procession
from procession import synchronize

MODULES = [
    "",
    *(
        module.name.partition(".")[2]
        for module in pkgutil.walk_packages(multiprocessing.__path__, "multiprocessing.")
        if "win32" not in module.name
    ),
]

OTHERWISE = {
    "forkserver.main": "the first function of our server's process: called by a command line of ours",
    "spawn.spawn_main": "the first function of a spawned child: called by a command line of ours",
    "managers.MakeProxyType": "its third parameter is a cache of its own, with what is in it as the default",
    "pool.IMapIterator": "made by pools alone, of what ours are made of",
    "pool.IMapUnorderedIterator": "made by pools alone, of what ours are made of",
    "popen_fork.Popen": "a running process as its start method sees it: each is made by ours",
    "popen_forkserver.Popen": "a running process as its start method sees it: each is made by ours",
    "popen_spawn_posix.Popen": "a running process as its start method sees it: each is made by ours",
}
"""Public names that are called otherwise than the stdlib's, or derived from something else, and why."""

CALLED = {"__init__", "__call__", "__enter__"}
"""Special methods whose signatures programs see."""


def both(name: str) -> list[Any]:
    """The stdlib's module of that name and ours."""
    packages = ("multiprocessing", "procession")
    return [importlib.import_module(f"{package}.{name}".rstrip(".")) for package in packages]


def replaced(name: str) -> Iterator[tuple[str, Any, Any]]:
    """Public names of a module for which we have something of our own."""
    std, ours = both(name)
    for thing in dir(std):
        path = f"{name}.{thing}".lstrip(".")
        theirs, own = getattr(std, thing), getattr(ours, thing)
        public = not thing.startswith("_") and not isinstance(theirs, types.ModuleType)
        if public and theirs is not own and path not in OTHERWISE:
            yield path, theirs, own


@pytest.mark.parametrize("name", MODULES)
def test_every_name_can_be_imported(name: str) -> None:
    """Also the private ones: programs in the field have them by accident."""
    std, ours = both(name)
    package = f"procession.{name}".rstrip(".")
    for thing in dir(std):
        if not (thing.startswith("__") and thing.endswith("__")):
            exec(f"from {package} import {thing}", {})
    if name and ours is not std:
        assert set(dir(std)) <= set(dir(ours))


@pytest.mark.parametrize("name", MODULES)
def test_a_star_brings_as_much(name: str) -> None:
    found: list[dict[str, Any]] = [{}, {}]
    for space, module in zip(found, both(name), strict=True):
        exec(f"from {module.__name__} import *", space)
        assert set(getattr(module, "__all__", ())) <= set(space)
    assert set(found[0]) - set(found[1]) == set()


@pytest.mark.parametrize("name", MODULES)
def test_classes_are_the_stdlibs_too(name: str) -> None:
    for path, theirs, own in replaced(name):
        if isinstance(theirs, type):
            assert isinstance(own, type), path
            assert issubclass(own, theirs), path
        else:
            assert callable(own) == callable(theirs), path


@pytest.mark.parametrize("name", MODULES)
def test_signatures_take_what_the_stdlibs_take(name: str) -> None:
    pairs = [(path, theirs, own) for path, theirs, own in replaced(name) if callable(theirs)]
    for path, theirs, own in list(pairs):
        if isinstance(theirs, type):
            pairs += [(f"{path}.{n}", getattr(theirs, n), getattr(own, n)) for n in methods_of(theirs)]
    problems = {path: problem for path, *pair in pairs if (problem := differ(*pair))}
    assert problems == {}


def methods_of(kind: type) -> Iterator[str]:
    for name in dir(kind):
        if (not name.startswith("_") or name in CALLED) and callable(getattr(kind, name)):
            yield name


def differ(theirs: Any, own: Any) -> str | None:
    """What is wrong with our signature, if anything is."""
    std, ours = signature_of(theirs), signature_of(own)
    if std is None or ours is None or theirs is own:
        return None
    problem = refused(std, ours) or added(std, ours)
    return problem and f"{problem}: {std} is called {ours}"


def signature_of(thing: Any) -> inspect.Signature | None:
    """None if it has none, or one that tells nothing."""
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return None
    return (
        None
        if str(signature) in {"(*args, **kwargs)", "(self, /, *args, **kwargs)", "(self, *args, **kwargs)"}
        else signature
    )


def refused(std: inspect.Signature, ours: inspect.Signature) -> str | None:
    """A parameter of the stdlib's that ours does not take in its place or by its name, or means otherwise."""
    kinds = {parameter.kind for parameter in ours.parameters.values()}
    places = [p.name for p in ours.parameters.values() if p.kind in POSITIONAL]
    for place, (name, parameter) in enumerate(std.parameters.items()):
        own = ours.parameters.get(name)
        if own is None:
            catch_all = CATCH_ALL.get(parameter.kind, inspect.Parameter.VAR_POSITIONAL)
            if catch_all not in kinds:
                return f"no {name}"
        elif parameter.kind in POSITIONAL and places[place : place + 1] != [name]:
            return f"{name} stands elsewhere"
        elif parameter.default is not inspect.Parameter.empty and not same(parameter.default, own.default):
            return f"the default of {name} is {own.default!r}"
    return None


def added(std: inspect.Signature, ours: inspect.Signature) -> str | None:
    """A parameter of ours that is not keyword-only, or must be given."""
    for name, parameter in ours.parameters.items():
        extra = name not in std.parameters and parameter.kind not in CATCH_ALL_KINDS
        if extra and parameter.kind != inspect.Parameter.KEYWORD_ONLY:
            return f"{name} is not keyword-only"
        if extra and parameter.default is inspect.Parameter.empty:
            return f"{name} has to be given"
    return None


def same(theirs: object, own: object) -> bool:
    # The stdlib wrote {} before 3.14, which nobody changes, and None since.
    return theirs == own or (theirs == {} and own is None)


POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
CATCH_ALL_KINDS = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
CATCH_ALL = {
    inspect.Parameter.KEYWORD_ONLY: inspect.Parameter.VAR_KEYWORD,
    inspect.Parameter.VAR_KEYWORD: inspect.Parameter.VAR_KEYWORD,
}


# ---- what only later interpreters have -----------------------------------------------------

LATER = [
    (procession.Process, "interrupt"),  # 3.14
    (synchronize.Lock, "locked"),
    (synchronize.RLock, "locked"),
    (synchronize.Semaphore, "locked"),
]


@pytest.mark.parametrize(("kind", "name"), LATER)
def test_what_later_interpreters_have_is_there_on_all(kind: type, name: str) -> None:
    assert callable(getattr(kind, name))


def test_the_exemptions_are_names_of_the_stdlibs() -> None:
    for path in OTHERWISE:
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(f"multiprocessing.{module}"), name)


def theirs(one: int, two: int = 2, *, three: int = 3) -> None: ...
def fewer(one: int) -> None: ...
def turned(two: int, one: int = 1, *, three: int = 3) -> None: ...
def other(one: int, two: int = 3, *, three: int = 3) -> None: ...
def wider(one: int, two: int = 2, four: int = 4, *, three: int = 3) -> None: ...
def needy(one: int, two: int = 2, *, three: int = 3, four: int) -> None: ...
def fine(one: int = 1, two: int = 2, *, three: int = 3, four: int = 4) -> None: ...
def anything(*args: Any, **kwargs: Any) -> None: ...


@pytest.mark.parametrize("wrong", [fewer, turned, other, wider, needy])
def test_the_comparison_finds_what_is_wrong(wrong: Any) -> None:
    assert differ(theirs, wrong) is not None


@pytest.mark.parametrize("right", [theirs, fine, anything])
def test_the_comparison_lets_pass_what_takes_the_same_calls(right: Any) -> None:
    assert differ(theirs, right) is None
