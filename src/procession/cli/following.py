"""--follow: the programs that this one starts with the same Python get procession, too.

They find it by their environment, in which PYTHONPATH begins with a folder of ours.  The
interpreter imports ``sitecustomize`` from there, which takes the folder from the path again and goes
on to the one it stands before.  A program that is started with an environment of its own making, or
with -I, -E or -S, is not followed.
"""

import os
import sys

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "follow")
VARIABLE = "PROCESSION_FOLLOW"
"""Tells which Python is meant; others find the same PYTHONPATH."""


def begin() -> None:
    """Follow what this process starts from now on."""
    path = os.environ.get("PYTHONPATH")
    if not path or path.split(os.pathsep)[0] != FOLDER:
        os.environ["PYTHONPATH"] = f"{FOLDER}{os.pathsep}{path}" if path else FOLDER
    os.environ[VARIABLE] = f"{sys.version_info[0]}.{sys.version_info[1]} {sys.prefix}"
