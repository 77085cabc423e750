"""Experiments that gave pages of the documentation their numbers."""
