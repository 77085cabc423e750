"""Checks that build environments of their own; `.ci/run` runs them.

extras.py     does each small extra install what its commands need?
commands.py   the commands that it runs
held_back.py  which packages are older than their newest release because another one does not allow it?
"""
