"""The native module: what building it takes, and building it when its sources have changed."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

from . import stamps
from .paths import PACKAGE, ROOT, RUST, VENV, VENV_PYTHON
from .say import step, stop

INSTALL_RUST = """
    anywhere         curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
    Debian, Ubuntu   sudo apt install cargo       (where that is new enough)
    Fedora           sudo dnf install cargo
Then run this again; a new shell is not needed."""


def ensure() -> None:
    """Build the module into the source tree unless that has been done for these very sources."""
    wanted = stamps.digest(sources(), built())
    if built() and stamps.read("native") == wanted:
        return
    check_rust()
    stamps.forget("native")
    step("building the native module (the first time takes a minute or three)")
    build()
    stamps.write("native", stamps.digest(sources(), built()))


def sources() -> list[Path]:
    """Everything that the module is made of."""
    target = RUST / "target"
    found = [path for path in RUST.rglob("*") if path.is_file() and target not in path.parents]
    return [*found, ROOT / "pyproject.toml"]


def built() -> str:
    """Name, size and time of the module as it lies there: one built by hand is not taken for ours."""
    facts = [(path.name, path.stat()) for path in PACKAGE.glob("_core*.so")]
    return " ".join(f"{name} {facts.st_size} {facts.st_mtime_ns}" for name, facts in facts)


def build() -> None:
    """Compile, optimised as in a release, and put the module beside the stub that documents it."""
    command = [str(VENV_PYTHON), "-m", "maturin", "develop", "--skip-install", "--release"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"VIRTUAL_ENV": str(VENV)}, check=False)
    if done.returncode:
        stop("""
The native module could not be built; cargo says why above.  If it could not fetch a crate: they
come from https://crates.io, and the network is needed once.  Run the same command again then.""")


def check_rust() -> None:
    """Stop with a message if something that building needs is missing."""
    if not shutil.which("cargo") or not shutil.which("rustc"):
        stop(f"Rust is missing: no cargo and rustc in PATH or ~/.cargo/bin. To install it:{INSTALL_RUST}")
    needed = rust_needed()
    found = _rust_found()
    if found < needed:
        stop(f"""
Rust {_dotted(found)} ({shutil.which("rustc")}) is too old; procession needs {_dotted(needed)} or newer.
    by rustup        rustup update stable
otherwise install it anew:{INSTALL_RUST}""")
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        stop("""
A C compiler is missing; Rust links with it (looked for cc, gcc and clang in PATH).
    Debian, Ubuntu   sudo apt install gcc
    Fedora           sudo dnf install gcc""")


def rust_needed() -> tuple[int, ...]:
    """The oldest Rust that the workspace declares to build with."""
    workspace = tomllib.loads((RUST / "Cargo.toml").read_text(encoding="utf-8"))
    return tuple(map(int, workspace["workspace"]["package"]["rust-version"].split(".")))


def _rust_found() -> tuple[int, ...]:
    said = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"rustc (\d+)\.(\d+)\.(\d+)", said.stdout)
    if not version:
        stop(f"`rustc --version` does not work:\n{said.stdout}{said.stderr}\nTo repair it:{INSTALL_RUST}")
    return tuple(map(int, version.groups()))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
