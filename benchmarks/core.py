"""What the same rings and locks cost without Python: the Rust core's own benchmark."""

import shutil
import subprocess

from tools.paths import RUST


def figures() -> list[str]:
    """Lines of text; none where there is no cargo."""
    if not shutil.which("cargo"):
        return []
    command = ["cargo", "run", "--quiet", "--release", "-p", "procession-core", "--example", "bench"]
    done = subprocess.run(command, cwd=RUST, stdout=subprocess.PIPE, text=True, check=True)
    return ["Rust core", *(f"    {line}" for line in done.stdout.splitlines() if line[:1] != "{")]
