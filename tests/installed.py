"""Programs that have procession installed, for tests/test_finder.py and tests/test_install.py."""

from tests.kit import run_python

INSTALL = "from procession._install import install\ninstall()\n"


def output(text: str, *flags: str) -> list[str]:
    """What a program prints, which ends well."""
    return run_python(*flags, "-c", text).check().stdout.splitlines()
