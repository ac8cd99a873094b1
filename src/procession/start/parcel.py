"""What a spawned child gets to read: an unnamed file, so that nobody ever waits to write it.

A pipe holds 64 KiB; a parent that writes more hangs on a child that has stopped or failed early.
The file holds what the stdlib's `_main` reads, the preparation data and the process object, each
a pickle; for a child of the fork server the surroundings stand before them.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import context as _context
from multiprocessing import process as _process
from multiprocessing.reduction import ForkingPickler
from typing import Any

from .. import _main, reduction
from .. import _private as private


def packed(
    popen: Any, process_obj: _process.BaseProcess, carry: list[Any], first: bytes = b""
) -> AbstractContextManager[int]:
    """A descriptor of the parcel for the child of `popen`.

    `first` goes before all else in it.  To `carry` is appended what must live until the child has
    unpacked it: shared objects and blocks with large buffers, which lie beside the file.

    Raises TransferError where a part of the process object cannot travel.
    """
    # Locks, queues and connections of the stdlib ask for this as they are pickled.
    _context.set_spawning_popen(popen)
    try:
        preparation = bytes(ForkingPickler.dumps(preparation_data(process_obj.name)))
        contents = reduction.parts(process_obj, carry)
    finally:
        _context.set_spawning_popen(None)
    return filed([first, preparation, *(contents if isinstance(contents, list) else [contents])])


def preparation_data(name: str) -> dict[str, Any]:
    """The stdlib's preparation data, without a main module that a child must not import."""
    from multiprocessing import spawn

    default: Any = _context._default_context
    settled = default._actual_context
    data = spawn.get_preparation_data(name)
    if settled is None:
        # Having asked for the stdlib's start method has fixed it; that is not ours to do.
        default._actual_context = None
        data.pop("start_method", None)
    if not _main.importable_main():
        data.pop("init_main_from_name", None)
        data.pop("init_main_from_path", None)
    return data


@contextmanager
def filed(parts: Sequence[Any]) -> Iterator[int]:
    """A descriptor of an unnamed file of these parts."""
    fds: list[int] = []
    try:
        # In one step for the interpreter: a signal handler may raise after it.
        fds.extend(map(os.memfd_create, ("procession-start",)))
        fd = private.keep(fds[0])
        with open(fd, "wb", closefd=False) as file:
            file.writelines(parts)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        for fd in fds:
            private.close(fd)
