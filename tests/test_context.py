"""Contexts, the default start method, the names of the package, and how many processors there are."""

import importlib
import multiprocessing
import multiprocessing.context
import multiprocessing.spawn
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import procession
from procession import _cpus, context
from tests.kit import run_python, run_script

LONG = 30.0

CONTEXTS = {
    "fork": multiprocessing.context.ForkContext,
    "spawn": multiprocessing.context.SpawnContext,
    "forkserver": multiprocessing.context.ForkServerContext,
}


@pytest.fixture
def default() -> Iterator[context.DefaultContext]:
    """A default context of our own to play with."""
    return context.DefaultContext(procession.get_context("forkserver"))


# ---- which context -------------------------------------------------------------------------


def test_contexts_are_the_stdlibs_too(method: str) -> None:
    ctx = procession.get_context(method)
    assert isinstance(ctx, CONTEXTS[method])
    assert ctx is procession.get_context(method) is ctx.get_context() is ctx.get_context(method)
    assert ctx.get_start_method() == method
    assert type(ctx)().get_start_method() == method
    process = ctx.Process()
    assert isinstance(process, procession.process.Process)
    assert isinstance(process, CONTEXTS[method].Process)
    assert type(process).__name__ == CONTEXTS[method].Process.__name__


def test_an_unknown_start_method() -> None:
    with pytest.raises(
        ValueError, match="cannot find context for 'thread': the start methods are fork, spawn"
    ):
        procession.get_context("thread")
    with pytest.raises(ValueError, match="cannot find context for 'thread'"):
        procession.set_start_method("thread", force=True)


def test_a_concrete_context_has_its_method_for_good(ctx: Any) -> None:
    with pytest.raises(ValueError, match="cannot set start method of concrete context"):
        ctx.set_start_method("fork")


def test_the_default_is_undecided_until_it_is_used(default: context.DefaultContext) -> None:
    assert default.get_start_method(allow_none=True) is None
    assert default.get_start_method() == "forkserver"
    assert default.get_start_method(allow_none=True) == "forkserver"
    with pytest.raises(RuntimeError, match="context has already been set"):
        default.set_start_method("fork")


def test_the_default_is_set_once_or_by_force(default: context.DefaultContext) -> None:
    default.set_start_method("spawn")
    assert default.get_context() is procession.get_context("spawn")
    with pytest.raises(RuntimeError, match="context has already been set"):
        default.set_start_method("spawn")
    default.set_start_method("fork", force=True)
    assert default.get_start_method() == "fork"
    default.set_start_method(None, force=True)
    assert default.get_start_method(allow_none=True) is None


def test_all_start_methods() -> None:
    assert sorted(procession.get_all_start_methods()) == ["fork", "forkserver", "spawn"]
    assert procession.get_all_start_methods() == multiprocessing.get_all_start_methods()


def test_contexts_that_others_add_to_either_table(monkeypatch: pytest.MonkeyPatch) -> None:
    class Strange(context.ForkContext):
        _name = "strange"

    monkeypatch.setitem(context._concrete_contexts, "strange", Strange())
    assert isinstance(procession.get_context("strange"), Strange)
    monkeypatch.setitem(multiprocessing.context._concrete_contexts, "stranger", Strange())
    assert isinstance(procession.get_context("stranger"), Strange)


def test_the_stdlibs_default_is_left_alone(method: str) -> None:
    run_script(
        """
        import sys
        import multiprocessing, procession
        def nothing(): pass
        if __name__ == "__main__":
            child = procession.get_context(sys.argv[1]).Process(target=nothing)
            child.start(); child.join()
            assert multiprocessing.get_start_method(allow_none=True) is None
            assert procession.get_start_method(allow_none=True) is None
        """,
        method,
    ).check()


def test_a_child_keeps_the_method_of_its_start(method: str) -> None:
    result = run_script(
        """
        import sys
        import procession
        if __name__ != "__main__":
            print("imported under", procession.get_start_method(allow_none=True), flush=True)
        def tell():
            print("child of", procession.get_start_method(allow_none=True), flush=True)
        if __name__ == "__main__":
            procession.set_start_method(sys.argv[1])
            child = procession.Process(target=tell)
            child.start(); child.join()
        """,
        method,
    ).check()
    imported = [] if method == "fork" else [f"imported under {method}"]
    assert result.stdout.splitlines() == [*imported, f"child of {method}"]


# ---- recipes of the field ------------------------------------------------------------------


class NoDaemonProcess(procession.get_context("fork").Process):  # type: ignore[misc]
    @property
    def daemon(self) -> bool:
        return False

    @daemon.setter
    def daemon(self, value: bool) -> None:
        pass


class NoDaemonContext(type(procession.get_context("fork"))):  # type: ignore[misc]
    Process = NoDaemonProcess


def test_the_context_of_processes_that_are_no_daemons() -> None:
    child = NoDaemonContext().Process(target=have_child)
    child.daemon = True
    child.start()
    child.join(LONG)
    assert child.exitcode == 0


def have_child() -> None:
    child = NoDaemonContext().Process(target=int)
    child.start()
    child.join(LONG)
    assert child.exitcode == 0


def test_start_rewritten_by_hand(ctx: Any) -> None:
    from multiprocessing import process

    child = ctx.Process(target=int)
    process._cleanup()
    child._popen = child._Popen(child)
    child._sentinel = child._popen.sentinel
    process._children.add(child)
    child.join(LONG)
    assert child.exitcode == 0


# ---- names ---------------------------------------------------------------------------------


def test_the_package_has_all_names() -> None:
    missing = [name for name in multiprocessing.__all__ if not hasattr(procession, name)]
    assert missing == []
    assert set(multiprocessing.__all__) < set(procession.__all__)
    assert set(dir(context._default_context)) >= set(dir(multiprocessing.context._default_context))
    namespace: dict[str, Any] = {}
    exec("from procession import *", namespace)
    assert issubclass(namespace["WorkerLostError"], procession.ProcessError)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = procession.nonsense


MODULES = [
    "connection", "context", "dummy", "dummy.connection", "forkserver", "heap", "managers", "pool",
    "popen_fork", "popen_forkserver", "popen_spawn_posix", "process", "queues", "reduction",
    "resource_sharer", "resource_tracker", "shared_memory", "sharedctypes", "spawn", "synchronize", "util",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_every_name_of_the_stdlibs_modules_can_be_imported(name: str) -> None:
    std = importlib.import_module(f"multiprocessing.{name}")
    ours = importlib.import_module(f"procession.{name}")
    missing = [
        n for n in dir(std) if not hasattr(ours, n) and not isinstance(getattr(std, n), types.ModuleType)
    ]
    assert missing == []
    for module_name in dir(std):
        exec(f"from procession.{name} import {module_name}") if not module_name.startswith("__") else None
    if isinstance(ours, types.ModuleType) and ours is not std:
        assert set(dir(std)) <= set(dir(ours))


def test_patches_reach_the_stdlibs_module(monkeypatch: pytest.MonkeyPatch) -> None:
    import procession.spawn as ours

    std = multiprocessing.spawn
    original = std.get_preparation_data
    with mock.patch("procession.spawn.get_preparation_data") as patched:
        assert std.get_preparation_data is ours.get_preparation_data is patched
    assert std.get_preparation_data is ours.get_preparation_data is original
    monkeypatch.setattr(ours, "spawn_main", None)  # a name of our own
    assert std.spawn_main is not None


def test_a_patched_bootstrap_runs_in_children(ctx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As coverage and debuggers do it: in the child through something unpickled there."""
    data = multiprocessing.spawn.get_preparation_data
    monkeypatch.setattr(
        multiprocessing.spawn, "get_preparation_data", lambda name: {**data(name), "stow": Stow()}
    )
    if ctx.get_start_method() == "fork":
        monkeypatch.setattr(multiprocessing.process.BaseProcess, "_bootstrap", bootstrap)
    child = ctx.Process(target=int)
    child.start()
    child.join(LONG)
    assert child.exitcode == 42


class Stow:
    def __setstate__(self, _state: Any) -> None:
        multiprocessing.process.BaseProcess._bootstrap = bootstrap  # type: ignore[attr-defined]

    def __getstate__(self) -> int:
        return 1


ORIGINAL = multiprocessing.process.BaseProcess._bootstrap  # type: ignore[attr-defined]


def bootstrap(self: Any, *args: Any, **options: Any) -> int:
    return ORIGINAL(self, *args, **options) + 42


def test_importing_the_package_imports_no_engine() -> None:
    result = run_python("-c", "import sys, procession; print(*sys.modules)").check()
    plain = run_python("-c", "import sys, multiprocessing; print(*sys.modules)").check()
    loaded = set(result.stdout.split()) - set(plain.stdout.split())  # from 3.14 on that has more in it
    heavy = {
        "procession._core",
        "procession.pool",
        "procession.queues",
        "cloudpickle",
        "multiprocessing.util",
    }
    assert loaded & heavy == set()


def test_factory_functions_use_their_context(ctx: Any) -> None:
    assert ctx.cpu_count() == os.cpu_count() == procession.cpu_count()
    assert ctx.get_logger() is multiprocessing.get_logger()
    ctx.allow_connection_pickling()
    ctx.freeze_support()
    with ctx.Manager() as manager:
        assert manager._process.name.startswith("SyncManager")
        shared = manager.list([1, 2])
        shared.append(3)
        assert list(shared) == [1, 2, 3]
        assert type(manager._process) is ctx.Process


def test_preload_and_executable_are_the_stdlibs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", b"before")
    procession.set_executable("/after")
    assert multiprocessing.spawn.get_executable() == procession.spawn.get_executable() == b"/after"


# ---- frozen programs -----------------------------------------------------------------------


def test_a_frozen_program(method: str, tmp_path: Path) -> None:
    """A program packed into one file starts itself; it tells children by their command line."""
    packed = tmp_path / "packed"
    packed.write_text(
        f"""#!{sys.executable}
import sys
if "-c" in sys.argv:  # of the stdlib's resource tracker
    sys.exit(exec(sys.argv[sys.argv.index("-c") + 1]))
sys.frozen = True
sys.executable = {str(packed)!r}
import procession

def work(queue):
    queue.put("from the child")

if __name__ == "__main__":
    procession.set_executable(sys.executable)
    procession.freeze_support()
    ctx = procession.get_context({method!r})
    queue = ctx.SimpleQueue()
    child = ctx.Process(target=work, args=(queue,))
    child.start()
    print(queue.get())
    child.join()
""",
        encoding="utf-8",
    )
    packed.chmod(0o755)
    assert run_script(packed).check().stdout == "from the child\n"


# ---- processors ----------------------------------------------------------------------------


def test_usable_processors() -> None:
    assert 1 <= _cpus.usable_cpus() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ("0::/of/the/host\n", {"cpu.max": "10000 100000\n"}, 1),
        ("4:cpu,cpuacct:/x\n0::/\n", {"cpu,cpuacct/x/cpu.cfs_quota_us": "250000\n",
                                      "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"}, 3),
        ("4:cpuacct,cpu:/x\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ("4:memory:/x\n0::/\n", {}, 64),
        ("0::/\n", {"cpu.max": "nonsense\n"}, 64),
        ("nonsense", {}, 64),
        ("0::/\n", {"cpu.max": "100000 0\n"}, 64),
    ],
)  # fmt: skip
def test_limits_of_control_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, membership: str, files: dict[str, str], expected: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "membership").write_text(membership)
    monkeypatch.setattr(_cpus, "_CGROUPS", tmp_path)
    monkeypatch.setattr(_cpus, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(64)))
    monkeypatch.setattr(os, "process_cpu_count", lambda: 64, raising=False)
    assert _cpus.usable_cpus() == expected


def test_what_the_user_says_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "process_cpu_count", lambda: 1000, raising=False)
    assert _cpus.usable_cpus() == 1000
