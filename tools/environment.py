"""The virtual environment .venv and the packages in it."""

import os
import platform
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec

from . import stamps
from .paths import PACKAGE, ROOT, VENV, VENV_PYTHON
from .say import step, stop

MINE = f"{sys.version_info.major}.{sys.version_info.minor}"
PROBE = "import sys, importlib.util as u; assert u.find_spec('pip'); print('%d.%d' % sys.version_info[:2])"


def ensure(group: str) -> None:
    """Make the environment if it is missing or spoilt, then install what `group` names."""
    if reason := spoilt():
        create(reason)
    install(requirements(group))
    link()


def spoilt() -> str:
    """Why .venv must be made (anew); empty if it can be used."""
    try:
        settings = (VENV / "pyvenv.cfg").read_text(encoding="utf-8")
    except FileNotFoundError:
        return "there is none yet"
    made_for = re.search(r"^version = (\d+\.\d+)", settings, re.MULTILINE)
    if not re.search(rf"^command = .* {re.escape(str(VENV))}$", settings, re.MULTILINE):
        return "it was made in another folder"
    if not VENV_PYTHON.exists():
        return "its Python is gone"
    found = subprocess.run([VENV_PYTHON, "-I", "-c", PROBE], capture_output=True, text=True, check=False)
    running = found.stdout.strip()
    if found.returncode or not made_for:
        return "it is incomplete"
    return _other_version(made_for[1], running)


def _other_version(made_for: str, running: str) -> str:
    if made_for != running:
        return f"it was made for Python {made_for}, and its Python is {running} now"
    if os.environ.get("PYTHON") and running != MINE:
        return f"it is of Python {running}, and Python {MINE} is asked for"
    return ""


def create(reason: str) -> None:
    """Make .venv with the Python that runs this."""
    version = platform.python_version()
    lacking = [name for name in ("venv", "ensurepip") if not find_spec(name)]
    if lacking:
        stop(f"""
Python {version} ({sys.executable}) cannot make virtual environments: it has no {" and no ".join(lacking)}.
    Debian, Ubuntu   sudo apt install python{MINE}-venv
or name another Python: make ... PYTHON=/path/to/python3""")
    step(f"making the virtual environment .venv with Python {version} ({reason})")
    if subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=False).returncode:
        stop("The virtual environment could not be made; Python says why above.")


def requirements(group: str) -> list[str]:
    """What a dependency group of pyproject.toml asks for, and what the package itself does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]

    def members(name: str) -> list[str]:
        found: list[str] = []
        for entry in groups[name]:
            found += [entry] if isinstance(entry, str) else members(entry["include-group"])
        return found

    return sorted(
        {*project["project"]["dependencies"], *project["build-system"]["requires"], *members(group)}
    )


def install(needed: list[str]) -> None:
    """Install what has not been installed before."""
    noted = stamps.read("packages").splitlines()
    missing = [requirement for requirement in needed if requirement not in noted]
    if not missing:
        return
    step("installing " + ", ".join(missing))
    options = ["--quiet", "--no-input", "--disable-pip-version-check"]
    if subprocess.run([VENV_PYTHON, "-m", "pip", "install", *options, *missing], check=False).returncode:
        stop("""
The packages above could not be installed; pip says why.  They come from https://pypi.org, so the
network is needed once (behind a mirror: pip's own settings, for example PIP_INDEX_URL, hold).
Run the same command again when it is there; what is done is not done again.""")
    stamps.write("packages", "\n".join(sorted({*noted, *missing})))


def link() -> None:
    """Let the environment's Python find the package where its sources are."""
    folder = next(VENV.glob("lib/python3.*/site-packages"))
    path = folder / "procession-dev.pth"
    wanted = f"{PACKAGE.parent}\n"
    if not path.exists() or path.read_text(encoding="utf-8") != wanted:
        path.write_text(wanted, encoding="utf-8")
