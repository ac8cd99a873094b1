"""The stdlib's own machinery, for subclasses of Pool that replace parts of it.

joblib's and torch's pools are such: they set up queues of their own, or start workers in a way of
their own.  There is nothing in this engine that their methods could fit into; so they get the
stdlib's, over our contexts.
"""

from __future__ import annotations

from multiprocessing import pool as _std
from typing import Any

from .. import _default
from .._cpus import usable_cpus

HOOKS = frozenset(
    {
        "_get_sentinels",
        "_get_tasks",
        "_get_worker_sentinels",
        "_guarded_task_generation",
        "_handle_results",
        "_handle_tasks",
        "_handle_workers",
        "_help_stuff_finish",
        "_inqueue",
        "_join_exited_workers",
        "_maintain_pool",
        "_map_async",
        "_outqueue",
        "_quick_get",
        "_quick_put",
        "_repopulate_pool",
        "_repopulate_pool_static",
        "_setup_queues",
        "_taskqueue",
        "_terminate_pool",
        "_wait_for_updates",
        "_worker_handler",
    }
)
"""Parts of the stdlib's machinery; a subclass that has one of them wants all."""


def classic(cls: type, ours: type) -> None:
    """If `cls`, a new subclass of `ours`, replaces parts of the machinery, give it the stdlib's.

    The stdlib's methods come before those of `ours` then, and behind those of the subclass.
    """
    if HOOKS.isdisjoint(vars(cls)) or issubclass(cls, Classic):
        return
    machinery = ClassicThreads if issubclass(cls, _std.ThreadPool) else Classic
    bases: list[Any] = []
    for base in cls.__bases__:
        if issubclass(base, ours) and machinery not in bases:
            bases.append(machinery)
        bases.append(base)
    cls.__bases__ = tuple(bases)


def _methods(kind: type) -> dict[str, Any]:
    left = {"__dict__", "__weakref__", "__module__", "__doc__", "__init__", "__init_subclass__"}
    return {name: value for name, value in vars(kind).items() if name not in left}


class Classic:
    """The stdlib's methods; `_default` context and size are ours."""

    _cache: Any = None

    def __init__(
        self,
        processes: Any = None,
        initializer: Any = None,
        initargs: Any = (),
        maxtasksperchild: Any = None,
        context: Any = None,
    ) -> None:
        size = usable_cpus() if processes is None else processes
        context = context or _default.get_context()
        _std.Pool.__init__(self, size, initializer, initargs, maxtasksperchild, context)  # type: ignore[arg-type]


for _name, _value in _methods(_std.Pool).items():
    setattr(Classic, _name, _value)


class ClassicThreads(Classic):
    """The same for threads."""

    def __init__(self, processes: Any = None, initializer: Any = None, initargs: Any = ()) -> None:
        Classic.__init__(self, processes, initializer, initargs)


for _name, _value in _methods(_std.ThreadPool).items():
    setattr(ClassicThreads, _name, _value)
