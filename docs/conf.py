"""How Sphinx builds the documentation: `make docs`, with warnings as errors."""

import tomllib
from pathlib import Path

_project = tomllib.loads(Path(__file__).parent.parent.joinpath("pyproject.toml").read_text(encoding="utf-8"))

project = _project["project"]["name"]
version = release = _project["project"]["version"]
copyright = "the authors of procession; Apache-2.0"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["README.md"]
default_role = "code"
# A reference that leads nowhere is a warning, and so an error.
nitpicky = True
# What is not ours, or not public, is shown and not linked.
nitpick_ignore_regex = [("py:.*", r"(?!procession\.).*"), ("py:.*", r"procession\.(.*\.)?_.*")]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"procession {version}"
html_copy_source = False
html_show_sphinx = False
