"""Running a program as the interpreter itself does.

The program gets the interpreter's own ``__main__``, cleared of the launcher, and keeps it to the end:
exit handlers, threads and pickling come back to it long after its last line.  What it raises goes
on to the interpreter, which then ends as it always does; only the frames of the launcher are left
out of what is shown.  (They are there for who looks for them: in the depth of the stack.)
"""

import io
import os
import sys
from collections.abc import Callable
from importlib.machinery import BuiltinImporter, SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any

_LAUNCHER = "procession.__main__"


def run_file(path: str, arguments: list[str]) -> None:
    """A script, or a folder or archive with a ``__main__.py``."""
    sys.argv[:] = [path, *arguments]
    place = _absolute(path)
    if _is_importable(place):
        if sys.flags.safe_path:
            sys.path.insert(0, place)
        _set_first_path(place)
        _run_as_main("__main__", alter_argv=False)
    else:
        _set_first_path(os.path.dirname(os.path.realpath(path)))
        kind = SourcelessFileLoader if path.endswith(".pyc") else SourceFileLoader
        loader = kind("__main__", place)
        _run(lambda: _compiled(place, loader), loader, place)


def run_module(name: str, arguments: list[str]) -> None:
    """A module, or a package with a ``__main__.py``, found on the path."""
    sys.argv[:] = ["-m", *arguments]
    _run_as_main(name)


def run_code(text: str, arguments: list[str]) -> None:
    """Lines of code."""
    sys.argv[:] = ["-c", *arguments]
    _set_first_path("")
    if sys.version_info >= (3, 14):
        import textwrap

        text = textwrap.dedent(text)
    _run(lambda: _remembered(f"{text}\n"))


def run_stdin(word: str, arguments: list[str]) -> None:
    """The standard input, read to its end."""
    sys.argv[:] = [word, *arguments]
    _set_first_path("")
    _run(lambda: _compile(sys.stdin.buffer.read(), "<stdin>"), file="<stdin>")


RUNNERS = {"file": run_file, "-m": run_module, "-c": run_code, "stdin": run_stdin}


# ---- the program's code --------------------------------------------------------------------


def _absolute(path: str) -> str:
    """As the interpreter makes it: not normalised."""
    return os.getcwd() if path == "." else os.path.join(os.getcwd(), path)


def _is_importable(path: str) -> bool:
    """Is it something to import from?"""
    for hook in sys.path_hooks:
        try:
            hook(path)
        except ImportError:
            continue
        return True
    return False


def _compiled(path: str, loader: SourceFileLoader | SourcelessFileLoader) -> CodeType:
    try:
        with io.open_code(path) as file:
            text = file.read()
    except OSError as error:
        reason = f"can't open file {path!r}: [Errno {error.errno}] {error.strerror}"
        print(f"{sys.orig_argv[0]}: {reason}", file=sys.stderr)
        sys.exit(2)
    if isinstance(loader, SourceFileLoader):
        return _compile(text, path)
    code = loader.get_code("__main__")
    assert code is not None
    return code


def _remembered(text: str) -> CodeType:
    """Of code without a file; since 3.13 tracebacks show its lines."""
    code = _compile(text, "<string>")
    if sys.version_info >= (3, 13):
        import linecache

        key = code if sys.version_info >= (3, 14) else "<string>"
        if register := getattr(linecache, "_register_code", None):
            register(key, text, "<string>")
    return code


def _compile(text: bytes | str, name: str) -> CodeType:
    return compile(text, name, "exec", dont_inherit=True)


# ---- its module and its path ---------------------------------------------------------------


def _set_first_path(place: str) -> None:
    # There is none of the launcher's, and shall be none of the program's, under -P and -I.
    if not sys.flags.safe_path:
        sys.path[0] = place


def _clear_main(loader: Any = BuiltinImporter, file: str | None = None) -> dict[str, Any]:
    main = sys.modules["__main__"]
    if getattr(getattr(main, "__spec__", None), "name", None) != _LAUNCHER:
        # That of a tool which runs the launcher as its program, and goes on afterwards.
        main = sys.modules["__main__"] = ModuleType("__main__")
    space = vars(main)
    before = dict(space)
    space.clear()
    space.update(__name__="__main__", __doc__=None, __package__=None, __loader__=loader, __spec__=None)
    # Some there are until 3.13 or 3.14 only.
    space.update({name: before[name] for name in ("__annotations__", "__builtins__") if name in before})
    if file is not None:
        space["__file__"] = file
        if "__cached__" in before:
            space["__cached__"] = None
    # As which children know it; set when multiprocessing was imported, perhaps to another.
    sys.modules["__mp_main__"] = main
    return space


# ---- the run -------------------------------------------------------------------------------


def _run(code: Callable[[], CodeType], loader: Any = BuiltinImporter, file: str | None = None) -> None:
    space = _clear_main(loader, file)
    _guarded(lambda: exec(code(), space))


def _run_as_main(name: str, *, alter_argv: bool = True) -> None:
    import runpy

    _clear_main()
    # What the interpreter itself calls.
    _guarded(lambda: runpy._run_module_as_main(name, alter_argv))  # type: ignore[attr-defined]


def _guarded(body: Callable[[], object]) -> None:
    try:
        body()
    except SystemExit:
        raise
    except BaseException as error:
        _leave_out_launcher(error)
        raise


def _leave_out_launcher(error: BaseException) -> None:
    """Have the interpreter show the traceback from the program's first frame on."""
    program = error.__traceback__
    while program is not None and program.tb_frame.f_code.co_filename == __file__:
        program = program.tb_next
    hook = getattr(sys, "excepthook", sys.__excepthook__)

    def show(kind: type[BaseException], value: BaseException, _: TracebackType | None) -> None:
        sys.excepthook = hook
        sys.last_traceback = value.__traceback__ = program
        hook(kind, value, program)

    sys.excepthook = show
