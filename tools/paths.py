"""Where things lie."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin/python"
RUST = ROOT / "rust"
PACKAGE = ROOT / "src/procession"
