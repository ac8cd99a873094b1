"""``python -m tests.clients [ARGUMENT ...]``: make the clients' environment, and run their tests in it.

The arguments go on to pytest.  Exit status 0 if all is well.
"""

import os
import subprocess
import sys
from pathlib import Path

from tools.native import built
from tools.say import step, stop

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-clients"
PYTHON = FOLDER / "bin/python"
LIST = Path(__file__).with_name("requirements.txt")


def main(arguments: list[str]) -> int:
    """Everything; the exit status."""
    if not built():
        stop("The native module is missing; `make build` makes it.")
    ensure()
    environment = os.environ | {"PROCESSION_CLIENTS": "1", "PYTHONPATH": f"{ROOT / 'src'}"}
    # What the documentation shows of these libraries is tried with them here, too.
    places = ["tests/clients", "tests/docs/test_blocks.py"]
    chosen = ["-k", "clients or side-by-side", *arguments]
    command = [PYTHON, "-m", "pytest", "-q", "-W", "default", *places, *chosen]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def ensure() -> None:
    """Make the environment unless it is there, of this Python and with all that is on the list."""
    wanted = f"{sys.version}\n{LIST.read_text(encoding='utf-8')}"
    stamp = FOLDER / "made-for.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    step("making .venv-clients with what is to be tried: once, for some minutes, 6 GB (torch, above all)")
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "-r", LIST]
    for command in ([sys.executable, "-m", "venv", "--clear", FOLDER], pip):
        if subprocess.run(command, check=False).returncode:
            stop("""
.venv-clients could not be made; the reason stands above.  The packages come from https://pypi.org,
and the network is needed once.  Run the same command again then.""")
    stamp.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        stop("Interrupted; run the same command again to go on.")
