"""Checks that build environments of their own; `.ci/run` runs them.

extras.py     does each small extra install what its commands need?
commands.py   the commands that it runs
door.py       the tests of one neighbour's door, in an environment with its packages
held_back.py  which packages are older than their newest release because another one does not allow it?
"""
