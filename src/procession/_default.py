"""The default context, for rooms that stand below `context` and may be used without one."""

from multiprocessing.context import BaseContext, DefaultContext

_default: DefaultContext | None = None


def set_default(context: DefaultContext) -> None:
    """Called by `context` when it is imported, which the package does first of all."""
    global _default
    _default = context


def get_context() -> BaseContext:
    """The context of the default start method; to ask for it fixes the default."""
    assert _default is not None
    return _default.get_context()
