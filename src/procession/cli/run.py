"""``python -m procession [run]``: a program that gets procession for multiprocessing."""

import sys
from typing import NoReturn

from .._install import install
from . import following, program

USAGE = """\
usage: python -m procession [--follow] FILE [ARGUMENT ...]
       python -m procession [--follow] -m MODULE [ARGUMENT ...]
       python -m procession [--follow] -c CODE [ARGUMENT ...]
       python -m procession [--follow] - [ARGUMENT ...]

Run a program as python does; wherever it or a library that it uses imports
multiprocessing, it gets procession, and so do the processes that it starts by
multiprocessing or concurrent.futures.  FILE may also be a folder or an archive
with a __main__.py; `-` is the standard input.  Write `run` before a FILE whose
name is that of a command, and `--` before one whose name begins with `-`.

  --follow    programs that it starts with the same Python get procession, too
  -h, --help  this text
"""


def main(words: list[str]) -> None:
    """Run the program that `words` name, to its end."""
    follow = False
    while words and words[0].startswith("--") and words[0] != "--":
        follow |= _option(words[0])
        words = words[1:]
    if not words or words[0] == "-h":
        _explain(bool(words))
    kind, what, arguments = _program(words)
    install()
    if follow:
        following.begin()
    program.RUNNERS[kind](what, arguments)


def _option(word: str) -> bool:
    if word == "--help":
        _explain(True)
    if word != "--follow":
        _refuse(f"unknown option {word}")
    return True


def _program(words: list[str]) -> tuple[str, str, list[str]]:
    """Kind, what to run, its arguments."""
    first, *rest = words
    if first[:2] in {"-m", "-c"}:
        return _named(first[:2], [first[2:], *rest] if first[2:] else rest)
    if first == "--":
        return _file(rest)
    if first.startswith("-") and first != "-":
        _refuse(f"unknown option {first}; those of Python stand before -m procession")
    return _file(words)


def _named(option: str, words: list[str]) -> tuple[str, str, list[str]]:
    if not words:
        _refuse(f"argument expected for the {option} option")
    return option, words[0], words[1:]


def _file(words: list[str]) -> tuple[str, str, list[str]]:
    if not words:
        _explain(False)
    return ("stdin" if words[0] == "-" else "file"), words[0], words[1:]


def _explain(asked: bool) -> NoReturn:
    print(USAGE, end="", file=sys.stdout if asked else sys.stderr)
    sys.exit(0 if asked else 2)


def _refuse(reason: str) -> NoReturn:
    print(f"python -m procession: {reason}\n\n{USAGE}", end="", file=sys.stderr)
    sys.exit(2)
