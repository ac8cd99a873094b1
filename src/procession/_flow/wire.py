"""What stands behind the pickle in messages to workers and in answers; ``loads`` takes them as they are.

The native loop of workers reads and writes the same, see ``rust/binding/src/wire.rs``.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

TASK_END = Struct("<QqQQBB")
"""mid, key, bytes of the function's text (which stands before this), prompt, mode, odd.

odd: the pickle holds (the function's text, items), else the items alone.
"""

ANSWER_END = Struct("<QIIB")
"""mid, first, count, kind; see `channel.Answer`."""


def task_end(data: Any) -> tuple[Any, ...]:
    """The end of a message."""
    return TASK_END.unpack_from(data, len(memoryview(data)) - TASK_END.size)
