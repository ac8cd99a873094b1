"""Another interpreter at the end of two pipes, which calls what is sent to it.

Scripts of the tests use it as `Other()(function, *arguments)`.  Its ``__main__`` is bare, or a
script that it has imported as a spawned child does.  Nothing here uses procession's own pipes.
"""

import subprocess
import sys
import traceback
from multiprocessing.connection import Connection, Pipe
from typing import Any

from procession import _take_main, reduction


class Other:
    """The process; by calling it a function is called there."""

    def __init__(self, main: str | None = None) -> None:
        far_in, self._to = Pipe(duplex=False)
        self._from, far_out = Pipe(duplex=False)
        fds = (far_in.fileno(), far_out.fileno())
        program = f"import tests.other_side as o; o.serve({fds[0]}, {fds[1]}, {main!r})"
        self._process = subprocess.Popen([sys.executable, "-c", program], pass_fds=fds)
        far_in.close()
        far_out.close()

    def __call__(self, function: Any, *arguments: Any) -> Any:
        self._to.send_bytes(reduction.dumps((function, arguments)))
        return self.answer()

    def answer(self) -> Any:
        """The result of the call, or what it raised."""
        done, result = reduction.loads(self._from.recv_bytes())
        if not done:
            raise AssertionError(result)
        return result

    def raw(self, data: bytes) -> Any:
        """The result of a call that is pickled already."""
        self._to.send_bytes(data)
        return self.answer()


def serve(fd_in: int, fd_out: int, main: str | None) -> None:
    """What the other side runs, until the pipe ends."""
    requests, results = Connection(fd_in), Connection(fd_out)
    if main is not None:
        _take_main.from_path(main)
    while True:
        try:
            data = requests.recv_bytes()
        except EOFError:
            return
        try:
            function, arguments = reduction.loads(data)
            answer = reduction.dumps((True, function(*arguments)))
        except Exception:  # noqa: BLE001 - told to who called
            answer = reduction.dumps((False, traceback.format_exc()))
        results.send_bytes(answer)
