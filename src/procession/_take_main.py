"""Runs a program's main module again in a child, under the name ``__mp_main__``.

As the stdlib's spawn does, but for one thing: there the functions of main keep the namespace they
were made in, and the module gets a copy of it, so that what one sets the other never sees.  Here
the two are one, and functions that arrive by value join it.

The start methods put these two in the place of ``_fixup_main_from_path`` and
``_fixup_main_from_name`` of the stdlib's spawn, in their children and in the fork server.
"""

from __future__ import annotations

import importlib.util
import io
import marshal
import os
import sys
import types
from importlib.machinery import ModuleSpec
from multiprocessing import spawn as _spawn

TYPE_CHECKING = False  # not typing's: to import that takes a tenth of what importing all of this does
if TYPE_CHECKING:
    from typing import Any

_BYTECODE_AT = 16
"""Where it begins in a compiled file, behind what tells of which version and source it is."""


def from_path(path: str) -> None:
    """Make the script at `path` this process's main, unless it is already.

    Raises what the script raises, and OSError or SyntaxError if it cannot be read.
    """
    present = sys.modules["__main__"]
    is_ipython = os.path.splitext(os.path.basename(path))[0] == "ipython"
    if not is_ipython and getattr(present, "__file__", None) != path:
        _run(_code_at(path), path, {"__file__": path, "__package__": "", "__cached__": None})


def from_name(name: str) -> None:
    """Make the module `name`, as ``-m`` finds it, this process's main, unless it is already.

    Raises what the module raises, and ImportError if there is none.
    """
    present = getattr(sys.modules["__main__"], "__spec__", None)
    if name == "__main__" or name.endswith(".__main__") or getattr(present, "name", None) == name:
        return
    spec = importlib.util.find_spec(name)
    code = None if spec is None else _code_of(spec)
    if spec is None or code is None:
        raise ImportError(f"the main module {name!r} cannot be found again in a child", name=name)
    attributes = {
        "__file__": spec.origin,
        "__package__": spec.parent,
        "__cached__": spec.cached,
        "__loader__": spec.loader,
        "__spec__": spec,
    }
    _run(code, spec.origin or "", attributes)


def _code_at(path: str) -> types.CodeType:
    with io.open_code(path) as file:
        text = file.read()
    if text.startswith(importlib.util.MAGIC_NUMBER):
        code: types.CodeType = marshal.loads(text[_BYTECODE_AT:])
        return code
    return compile(text, path, "exec", dont_inherit=True)


def _code_of(spec: ModuleSpec) -> types.CodeType | None:
    get_code = getattr(spec.loader, "get_code", None)
    return None if get_code is None else get_code(spec.name)


def _run(code: types.CodeType, file: str, attributes: dict[str, Any]) -> None:
    module = types.ModuleType("__mp_main__")
    vars(module).update(attributes)
    argument = sys.argv[0]
    sys.modules["__mp_main__"], sys.argv[0] = module, file
    try:
        exec(code, vars(module))
    except BaseException:
        sys.modules["__mp_main__"] = sys.modules["__main__"]  # as importing multiprocessing does
        raise
    finally:
        sys.argv[0] = argument
    # Kept as there, since what it holds may still be in use.
    _spawn.old_main_modules.append(sys.modules["__main__"])
    sys.modules["__main__"] = module
