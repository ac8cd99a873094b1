"""A thread whose start nobody waits for.

Where workers have just been forked, all processors are busy with them: a thread would get its turn after a
millisecond or two, for which the standard library's `start` waits, and with it the first task.
"""

import _thread
import threading
from collections.abc import Callable


class Thread(threading.Thread):
    """A daemon that runs `target()`.  `start` returns at once, `join` waits also for its beginning."""

    def __init__(self, target: Callable[[], object], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)
        self._started = _Unwaited()
        self._beginning = _thread.allocate_lock()
        self._beginning.acquire()

    def run(self) -> None:
        """What the thread does."""
        self._beginning.release()
        super().run()

    def join(self, timeout: float | None = None) -> None:
        """Wait until a started thread has ended, at most `timeout` seconds (None: without limit).

        The beginning, which comes at once or when others have had their turn, is not counted.
        """
        with self._beginning:
            pass
        super().join(timeout)


class _Unwaited(threading.Event):
    """For the only one who waits for the beginning of a thread, its `start`."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()
