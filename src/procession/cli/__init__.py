"""``python -m procession``: one file a command, of which `run` is the default.

A command has a function ``main(words)``, which gets the rest of the command line.
"""

import sys
from importlib import import_module

_COMMANDS = frozenset({"run"})


def main() -> None:
    """Do what the command line says."""
    words = sys.argv[1:]
    named = bool(words) and words[0] in _COMMANDS
    command = import_module(f"{__name__}.{words[0] if named else 'run'}")
    command.main(words[1:] if named else words)
