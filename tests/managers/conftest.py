"""A manager for each start method."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def manager(ctx: Any) -> Iterator[Any]:
    """A running SyncManager of each start method in turn."""
    with ctx.Manager() as manager:
        yield manager
    manager._process.close()  # pytest keeps the manager, and so its process, for longer
