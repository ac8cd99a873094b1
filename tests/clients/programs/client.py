"""What the programs of this folder have in common: each compares work done alone with the same in processes.

``python -m procession PROGRAM METHOD`` gives it procession for multiprocessing; ``python PROGRAM METHOD
ours`` has it hand a context of procession to a library that goes on to import the stdlib's.
"""

import multiprocessing
import sys

import procession


def context():
    """The context to give to the library."""
    package = procession if sys.argv[2:] else multiprocessing
    return package.get_context(sys.argv[1])


def compare(alone, together):
    """Run both, whose results must be equal."""
    assert (multiprocessing is procession) != bool(sys.argv[2:]), multiprocessing
    if not sys.argv[2:]:
        multiprocessing.set_start_method(sys.argv[1])
    expected, found = alone(), together()
    assert found == expected, f"alone: {expected!r}\ntogether: {found!r}"
    print("equal")
