"""The code blocks of a page, and what they print.  The rules stand in docs/README.md."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, zip_longest
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"

FENCE = re.compile(r"^```([\w{}-]*)$")
MARK = re.compile(r"^<!-- (not run|needs): (.*) -->$")
NAMED = re.compile(r"^# ([\w.-]+\.py)\n")
SAID = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
LOUD = "<!-- writes to the standard error -->"
GUARD = 'if __name__ == "__main__":'


@dataclass(frozen=True)
class Block:
    """What stands between two fences."""

    language: str
    text: str
    line: int
    """Of its first line, in the page."""
    mark: tuple[str, str] | None
    """("not run", reason) or ("needs", packages), from the comment before it."""
    output: str | None
    """The block of language `output` that follows it."""

    @property
    def runs(self) -> bool:
        return self.mark is None

    @cached_property
    def file(self) -> str | None:
        """A whole program has a file of its own; the other blocks of a page are lines of one."""
        named = NAMED.match(self.text)
        if named:
            return named[1]
        return f"line_{self.line}.py" if self.mark or GUARD in self.text else None

    @property
    def prints(self) -> str:
        """What it prints: a line may have `...` for what is different each time."""
        if self.output is not None:
            return self.output
        return "".join(f"{said}\n" for said in SAID.findall(self.text))


@dataclass(frozen=True)
class Page:
    """A document with code in it."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def blocks(self) -> list[Block]:
        return list(_blocks(self.path.read_text(encoding="utf-8").splitlines()))

    @property
    def is_quiet(self) -> bool:
        """Does nothing of it write to the standard error?"""
        return LOUD not in self.path.read_text(encoding="utf-8")

    def python(self) -> list[Block]:
        return [block for block in self.blocks if block.language == "python"]

    def script(self) -> tuple[str, str]:
        """The lines that are no program of their own, where they stand in the page; what they print."""
        parts = [block for block in self.python() if block.runs and block.file is None]
        text = ""
        for part in parts:
            text += "\n" * (part.line - 1 - text.count("\n")) + part.text
        return text, "".join(part.prints for part in parts)

    def programs(self) -> dict[str, Block]:
        """Those that have a file of their own, by its name."""
        return {block.file: block for block in self.python() if block.file}

    def consoles(self) -> list[Block]:
        return [block for block in self.blocks if block.language == "console" and block.runs]


PAGES = [Page(path) for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))]


def _blocks(lines: list[str]) -> Iterator[Block]:
    found = list(_fenced(lines))
    for (language, text, line, before), (next_language, output, _, _) in pairwise([*found, ("", "", 0, "")]):
        if language != "output":
            mark = MARK.match(before)
            yield Block(
                language,
                text,
                line,
                (mark[1], mark[2]) if mark else None,
                output if next_language == "output" else None,
            )


def _fenced(lines: list[str]) -> Iterator[tuple[str, str, int, str]]:
    """Language, text, number of the first line, and the last line before the block."""
    begin, language = 0, None
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if fence and language is None:
            begin, language = number, fence[1]
        elif fence:
            text = "".join(f"{inner}\n" for inner in lines[begin : number - 1])
            yield language or "", text, begin + 1, lines[begin - 2] if begin > 1 else ""
            language = None


def commands(block: Block) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output shown below it."""
    found: list[tuple[str, str]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        else:
            command, output = found[-1]
            found[-1] = command, f"{output}{line}\n"
    return found


def difference(said: str, expected: str) -> str:
    """The first line that is not as expected, and what was; empty if all are.  ``...`` is any text."""
    for found, wanted in zip_longest(said.splitlines(), expected.splitlines()):
        if found is None or wanted is None or not re.fullmatch(_pattern(wanted), found):
            return f"expected: {wanted!r}\nfound:    {found!r}"
    return ""


def _pattern(line: str) -> str:
    return re.escape(line).replace(r"\.\.\.", ".*")
