"""Measurements side by side with others: ``make bench``, or ``python -m benchmarks.run --help``."""
