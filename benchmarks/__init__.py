"""Measurements; alone on the machine."""
