"""The reference has an entry for every public name, and every public thing of ours says what it is."""

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

from procession.managers import BaseProxy
from tests.docs.blocks import DOCS

MODULES = (
    "procession",
    "procession.connection",
    "procession.context",
    "procession.errors",
    "procession.managers",
    "procession.pool",
    "procession.process",
    "procession.queues",
    "procession.reduction",
    "procession.shared_memory",
    "procession.sharedctypes",
    "procession.synchronize",
)
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in sorted((DOCS / "reference").glob("*.rst")))


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_an_entry(module: str) -> None:
    names = importlib.import_module(module).__all__
    assert [name for name in names if not _has_entry(module, name)] == []


def _has_entry(module: str, name: str) -> bool:
    if module == "procession":
        # Its names are entries elsewhere, to which its page leads.
        return re.search(rf"[`.]{name}`", TEXT) is not None
    automatic = re.search(rf"^ *\.\. auto\w+:: {re.escape(module)}\.{name}\b", TEXT, re.MULTILINE)
    by_hand = re.search(rf"^\.\. py:\w+:: {name}\b.*\n   :module: {re.escape(module)}$", TEXT, re.MULTILINE)
    whole = re.search(rf"^\.\. automodule:: {re.escape(module)}\n   :members:$", TEXT, re.MULTILINE)
    return bool(automatic or by_hand or whole)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_thing_says_what_it_is(module: str) -> None:
    assert [name for name, thing in _ours(module) if not inspect.getdoc(thing)] == []


def _ours(module: str) -> Iterator[tuple[str, Any]]:
    """Public functions, classes and methods that procession has made."""
    room = importlib.import_module(module)
    for name in room.__all__:
        thing = getattr(room, name)
        if not getattr(thing, "__module__", "").startswith("procession"):
            continue
        yield name, thing
        if not isinstance(thing, type) or issubclass(thing, BaseProxy):
            continue  # a proxy's methods mean what those of its object mean
        for attribute, value in vars(thing).items():
            if not attribute.startswith("_") and (callable(value) or isinstance(value, property)):
                yield f"{name}.{attribute}", value
