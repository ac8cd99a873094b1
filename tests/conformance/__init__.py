"""CPython's own tests of multiprocessing, run on procession: ``python -m tests.conformance``.

The tests are those that come with the interpreter that runs them; nothing of them is kept here.

=============  =========================================================================
rewritten.py   the interpreter's test modules with our name in the place of the stdlib's
child.py       what runs in that interpreter: some tests of one class, or a list of all
session.py     one class in a session of its own, with time limits and a look at leftovers
verdicts.py    which failures count: `exempt.toml`, `expected.toml`
run.py         the command: interpreters, start methods, the report
=============  =========================================================================
"""
