"""What tests share: processes seen through /proc, waiting, scripts, load.

Nothing here imports procession, so that a broken package cannot take the watchdog with it.
"""

from .load import under_load
from .proc import alive, descendants, describe, kill
from .scripts import Result, run_python, run_script
from .waiting import eventually

__all__ = [
    "Result",
    "alive",
    "descendants",
    "describe",
    "eventually",
    "kill",
    "run_python",
    "run_script",
    "under_load",
]
