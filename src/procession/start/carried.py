"""What the handles of spawn and forkserver have in common: what the child is to do travels."""

import time
from multiprocessing import process as _process
from typing import Any

from ..errors import ProcessError
from . import pidfd, reports
from .watch import Watched


class Carried(Watched):
    """The child unpickles its process object, and reports when it has, or why it could not."""

    def __init__(self, process_obj: _process.BaseProcess) -> None:
        self._fds: list[int] = []
        self._label = f"process {process_obj.name!r}"
        # A temporary among the arguments must not be collected, and what it stands for be
        # removed, before the child has opened it.
        self._kept: dict[str, Any] | None = vars(process_obj).copy()
        self._carried: list[Any] = []
        super().__init__(process_obj)

    def arrived(self) -> None:
        """The child has loaded everything."""
        self._let_go()

    def failed(self, text: str) -> None:
        """The child ends before it runs its target; `text` says why."""
        self.start_error = ProcessError(f"{self._label} failed before it ran its target:\n{text}")
        self._let_go()

    def _let_go(self) -> None:
        self._kept = None
        self._carried.clear()

    def _ended(self, timeout: float | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._kept is not None:
            ready = pidfd.readable([self.sentinel, reports.channel()[0]], _left(deadline))
            reports.drain()
            if not ready or self.sentinel in ready:
                return bool(ready)
        return super()._ended(_left(deadline))

    def _buried(self, code: int) -> None:
        super()._buried(code)
        reports.drain()
        if self._kept is not None:
            self.failed(f"it ended with exit code {code} and left no word but on its standard error")


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else deadline - time.monotonic()
