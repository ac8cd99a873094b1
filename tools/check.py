"""All checks, one after the other, with a summary: ``python -m tools.check [PART or GROUP ...]``.

A part that fails does not keep the others from running; the exit status is 0 if none failed.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from .paths import ROOT, VENV

PYTHON = sys.executable
STUBTEST = ("--concise", "--ignore-unused-allowlist", "--allowlist", "tools/stubtest.txt")
RUST = ("--manifest-path", "rust/Cargo.toml")
CONFORMANCE = (PYTHON, "-m", "tests.conformance")
CORE = (*RUST, "-p", "procession-core", "--quiet")


@dataclass(frozen=True)
class Part:
    """One check: a command that ends with 0 where all is well."""

    name: str
    group: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    needs: str = ""
    """A rustup component without which the part is passed over, visibly."""


# Loom takes the place of the atomics, so that its build shares nothing with others.  Optimised, or
# it explores for minutes; not as a release is, or compiling does.
LOOM = {
    "RUSTFLAGS": "--cfg loom",
    "CARGO_TARGET_DIR": "rust/target/loom",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_DEBUG": "0",
    "LOOM_MAX_PREEMPTIONS": "3",
}

PARTS = (
    Part("rust-format", "lint", ("cargo", "fmt", *RUST, "--all", "--check"), needs="rustfmt"),
    Part(
        "rust-lint",
        "lint",
        ("cargo", "clippy", *RUST, "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"),
        needs="clippy",
    ),
    Part("ruff", "lint", (PYTHON, "-m", "ruff", "check")),
    Part("ruff-format", "lint", (PYTHON, "-m", "ruff", "format", "--check")),
    Part("imports", "lint", (str(VENV / "bin/lint-imports"), "--no-logo")),
    Part("changes", "lint", (PYTHON, "-m", "tools.changes")),
    Part("mypy", "types", (PYTHON, "-m", "mypy")),
    Part("stubs", "types", (PYTHON, "-m", "mypy.stubtest", "procession._core", *STUBTEST)),
    Part("cargo-test", "rust", ("cargo", "test", *CORE, "--features", "faults")),
    Part("loom", "rust", ("cargo", "test", *CORE, "--release"), LOOM),
    # All is read anew: a second run would not repeat the warnings of the first.
    Part("docs", "docs", (PYTHON, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", "docs", "build/docs")),
    Part("pytest", "python", (PYTHON, "-m", "pytest", "-q", "--durations=10")),
    Part("conformance", "python", (*CONFORMANCE, "--method", "forkserver", "--quick")),
    Part("all-conformance", "all", (*CONFORMANCE, "--python", "all")),
    Part("clients", "all", (PYTHON, "-m", "tests.clients")),
)
"""Those of the group `all` run when they are asked for, alone."""


def main(names: list[str]) -> int:
    """Run the parts named, by default what CI runs, with `all` everything; 1 if one failed."""
    unknown = set(names) - {p.name for p in PARTS} - {p.group for p in PARTS}
    if unknown:
        print(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(p.name for p in PARTS)}")
        return 2
    results = [run(part) for part in PARTS if _is_meant(part, set(names))]
    print("\n==== summary")
    for name, word, seconds in results:
        print(f"{word:8} {name:12} {seconds:7.1f} s")
    return int(any(word == "FAILED" for _, word, _ in results))


def _is_meant(part: Part, names: set[str]) -> bool:
    if not names:
        return part.group != "all"
    return "all" in names or bool({part.name, part.group} & names)


def run(part: Part) -> tuple[str, str, float]:
    """Run one part with its output shown; name, outcome and seconds."""
    print(f"\n==== {part.name}: {' '.join(part.command)}", flush=True)
    if part.needs and not _component(part.needs):
        print(f"passed over: {part.needs} is not installed (rustup component add {part.needs})")
        return part.name, "skipped", 0.0
    begin = time.monotonic()
    environment = os.environ | {"PYO3_PYTHON": PYTHON} | part.environment
    done = subprocess.run([*part.command, *_extra(part)], cwd=ROOT, env=environment, check=False)
    return part.name, ("FAILED" if done.returncode else "passed"), time.monotonic() - begin


def _extra(part: Part) -> Iterator[str]:
    if part.name == "pytest":
        yield from os.environ.get("ARGS", "").split()


def _component(name: str) -> bool:
    """Is there a cargo-fmt or cargo-clippy that works?  rustup leaves stand-ins that do not."""
    tool = {"rustfmt": "cargo-fmt", "clippy": "cargo-clippy"}[name]
    found = shutil.which(tool)
    if not found:
        return False
    return subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
