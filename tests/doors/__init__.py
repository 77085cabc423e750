"""Tests that need a neighbour's packages: `make test-doors` runs them, each in an environment for that neighbour."""
