"""Tests of the documentation: what it shows runs, and does what it says."""
