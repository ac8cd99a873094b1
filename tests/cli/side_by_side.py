"""A program under plain Python and under the launcher: nobody should be able to tell them apart."""

import re
from typing import Any

from tests.kit import Result, run_python

LAUNCHER = ("-m", "procession")


def alike(*words: str, flags: tuple[str, ...] = (), **how: Any) -> Result:
    """Run it both ways, compare all that is seen from outside, and give the launcher's result.

    `flags` are the interpreter's own; the rest is as for :func:`tests.kit.run_python`.
    """
    plain = run_python(*flags, *words, **how)
    ours = run_python(*flags, *LAUNCHER, *words, **how)
    assert _seen(ours) == _seen(plain), f"plain Python:\n{plain.report()}\nprocession:\n{ours.report()}"
    return ours


def _seen(result: Result) -> tuple[int, str, str, tuple[str, ...]]:
    out, err = (re.sub(r"(0x|pid=|parent=)[0-9a-f]+", r"\1", text) for text in (result.stdout, result.stderr))
    return result.returncode, out, err, result.leftovers
