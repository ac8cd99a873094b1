"""Run tests many times on a busy machine: ``python -m tools.stress TEST [TIMES]``.

TEST is what pytest takes: a file, or FILE::NAME.  Stops at the first failure.
"""

import sys

import pytest

from tests.kit import under_load


class Rounds:
    """A pytest plugin that makes of each test as many as there are rounds."""

    def __init__(self, times: int) -> None:
        self.times = times

    @pytest.fixture
    def _round(self, request: pytest.FixtureRequest) -> int:
        return int(request.param)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One more parameter, which the test does not see."""
        metafunc.fixturenames.append("_round")
        metafunc.parametrize("_round", range(self.times), indirect=True)


def main(tests: str, times: int) -> int:
    """Run `tests` so many times; pytest's exit status."""
    with under_load():
        return int(pytest.main(["-x", "-q", "--no-header", *tests.split()], plugins=[Rounds(times)]))


if __name__ == "__main__":
    if len(sys.argv) < 2 or not sys.argv[1]:
        sys.exit("which test? make stress TEST=tests/test_queues.py N=200")
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100))
