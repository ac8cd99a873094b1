"""Programs and libraries from the field, run on procession: ``python -m tests.clients``.

They need an environment of their own, made on the first run; the project's other tests leave this
folder out.
"""
