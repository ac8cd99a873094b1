"""Managers: both sides, each room by itself and all together."""
