"""What the tools tell their user."""

import sys
from typing import NoReturn


def step(text: str) -> None:
    """What happens now, where it takes a while."""
    print(f"-- {text}", file=sys.stderr, flush=True)


def stop(text: str) -> NoReturn:
    """End with exit status 1 and a message that says what to do."""
    sys.exit(f"\n{text.strip()}\n")
