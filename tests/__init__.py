"""Tests, under the same path and name as the source they are for."""
