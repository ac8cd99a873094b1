"""One measurement in a process of its own: ``python -m benchmarks.one CASE CONTENDER OPERATIONS``.

Prints the value alone.  Nobody measures in a process where another library has left its threads,
children and hooks.
"""

import os
import sys

from .cases import CASES


def main(name: str, contender: str, operations: str) -> None:
    """Measure and print."""
    case = next(case for case in CASES if case.name == name)
    # What a library prints is not the answer.
    answer = os.dup(1)
    os.dup2(2, 1)
    value = case.contenders[contender](int(operations))
    os.write(answer, f"{value!r}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
