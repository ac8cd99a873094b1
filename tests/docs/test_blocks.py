"""Every block of Python in the documents runs under every start method, and prints what it says.

What does not run says why, in the page; each such exception is counted here.
"""

import importlib.util
import os
import re
import shlex
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, Block, Page, commands, difference
from tests.kit import run_python
from tests.kit.scripts import Result

METHOD = "PROCESSION_DOCS_METHOD"
"""Which start method the interpreter chooses before a program begins."""

CHOOSE = f"""\
import os, procession
procession.set_start_method(os.environ["{METHOD}"], force=True)
"""

NOT_RUN = {"README.md": 1}
"""Blocks of each page that a comment exempts."""

SCRIPTS = [page for page in PAGES if page.script()[0]]
PROGRAMS = [(page, name) for page in PAGES for name in page.programs()]
COMMANDS = [(page, block) for page in PAGES for block in page.consoles()]


@pytest.fixture
def choosing(tmp_path_factory: pytest.TempPathFactory, method: str) -> dict[str, str]:
    """An environment in which programs begin with the start method chosen."""
    folder = tmp_path_factory.mktemp("choosing")
    (folder / "sitecustomize.py").write_text(CHOOSE, encoding="utf-8")
    path = [str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {"PYTHONPATH": os.pathsep.join(filter(None, path)), METHOD: method, "PYTHONUNBUFFERED": "1"}


def test_the_method_is_chosen(choosing: dict[str, str], method: str, tmp_path: Path) -> None:
    _run(
        tmp_path,
        "asks.py",
        "import procession\nprint(procession.get_start_method())",
        f"{method}\n",
        choosing,
    )


@pytest.mark.parametrize("page", SCRIPTS, ids=str)
def test_the_lines_of_a_page(page: Page, choosing: dict[str, str], tmp_path: Path) -> None:
    text, expected = page.script()
    _write_programs(page, tmp_path)
    result = _run(tmp_path, "page.py", text, expected, choosing)
    assert not (page.is_quiet and result.stderr), result.report()


@pytest.mark.parametrize(("page", "name"), PROGRAMS, ids=str)
def test_a_program_of_a_page(page: Page, name: str, choosing: dict[str, str], tmp_path: Path) -> None:
    block = page.programs()[name]
    _demand(block)
    _write_programs(page, tmp_path)
    if block.prints or name.startswith("line_"):
        result = _run(tmp_path, name, block.text, block.prints, choosing)
        assert not (page.is_quiet and result.stderr), result.report()
    else:
        shown = " ".join(command for other in page.consoles() for command, _ in commands(other))
        assert name in shown, f"{page}:{block.line} shows no output, and no command that runs it"


@pytest.mark.parametrize(
    ("page", "block"), COMMANDS, ids=lambda it: it.line if isinstance(it, Block) else str(it)
)
def test_the_commands_of_a_page(page: Page, block: Block, tmp_path: Path) -> None:
    _write_programs(page, tmp_path)
    for command, output in commands(block):
        program, *words = shlex.split(command, comments=True)
        if program == "git":
            continue  # what it fetches is where this runs
        if program == "make":
            assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        else:
            assert program == "python", f"{page}:{block.line}: mark it as not run: {command}"
            result = run_python(*words, cwd=tmp_path, env={"PYTHONUNBUFFERED": "1"}).check()
            wrong = difference(result.stdout + result.stderr, output)
            assert not wrong, f"{command}\n{wrong}\n{result.report()}"


def test_exceptions_are_counted() -> None:
    found: dict[str, int] = {}
    for page in PAGES:
        for block in page.blocks:
            if block.mark and block.mark[0] == "not run" and block.language in {"python", "console"}:
                assert len(block.mark[1]) > 20, f"{page}:{block.line} gives no reason"
                found[str(page)] = found.get(str(page), 0) + 1
    assert found == NOT_RUN


def test_every_block_has_a_language_that_is_known() -> None:
    known = {"python", "console", "output", "text", "toml", "{toctree}"}
    assert [
        f"{page}:{block.line}" for page in PAGES for block in page.blocks if block.language not in known
    ] == []


def _demand(block: Block) -> None:
    if block.mark and block.mark[0] == "not run":
        pytest.skip(f"the page says: {block.mark[1]}")
    missing = [
        name
        for name in (block.mark[1].split(", ") if block.mark else ())
        if not importlib.util.find_spec(name)
    ]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: run where the requirements of tests/clients are")


def _write_programs(page: Page, folder: Path) -> None:
    for name, block in page.programs().items():
        (folder / name).write_text(block.text, encoding="utf-8")


def _run(folder: Path, name: str, text: str, expected: str, env: dict[str, str]) -> Result:
    (folder / name).write_text(text, encoding="utf-8")
    result = run_python(name, cwd=folder, env=env).check()
    wrong = difference(result.stdout, expected)
    assert not wrong, f"{wrong}\n{result.report()}"
    return result
