# noqa: INP001 - no package: this folder is put on the path of other programs
# mypy: allow-untyped-defs, allow-untyped-calls
"""Run by the site module of programs that are followed; see ``procession.cli.following``.

Any Python may come across it, also a very old one: nothing of today's syntax is used.
"""

import os
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(FOLDER)))


class Waiting(object):  # noqa: UP004
    """Installs procession when the program comes to want multiprocessing, which most never do."""

    def find_spec(self, fullname, path=None, target=None):
        """None but for the two packages, which are imported and then given by this very object."""
        if fullname not in ("multiprocessing", "procession"):
            return None
        from importlib.machinery import ModuleSpec

        sys.meta_path.remove(self)
        sys.path.append(ROOT)
        try:
            from procession._install import install
        finally:
            sys.path.pop()
        install()
        # With the module in its place the import system would run it once more.
        self.module = sys.modules.pop(fullname)
        self.spec = self.module.__spec__
        return ModuleSpec(fullname, self)  # type: ignore[arg-type]

    def create_module(self, spec):
        """The module that is there."""
        return self.module

    def exec_module(self, module):
        """Nothing but to take back what the import system has just set."""
        module.__spec__ = self.spec


def is_meant():
    """Is this the Python that the launcher was run with?"""
    version = ".".join(str(number) for number in sys.version_info[:2])
    return os.environ.get("PROCESSION_FOLLOW") == version + " " + sys.prefix


def go_on():
    """Run the sitecustomize that this one stands before, if there is one."""
    sys.path[:] = [place for place in sys.path if os.path.abspath(place) != FOLDER]
    own = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        if getattr(error, "name", "sitecustomize") != "sitecustomize":
            raise
    finally:
        sys.modules.setdefault("sitecustomize", own)


if is_meant():
    sys.meta_path.insert(0, Waiting())
go_on()
