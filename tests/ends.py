"""The fixture `ends`, for test modules that name this one in `pytest_plugins`."""

from collections.abc import Iterator

import pytest

from procession.connection import Connection, Pipe


@pytest.fixture(params=["duplex", "simplex"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[Connection, Connection]]:
    """(the one to receive from, the one to send into)."""
    reader, writer = Pipe(request.param == "duplex")
    with reader, writer:
        yield reader, writer
