"""``python -m procession``: see :mod:`procession.cli`."""

from .cli import main

main()
