"""The Python entry: its documented example, and that it says what the command line says."""

import doctest

import jfewshot.api
import jfewshot.store.creating


def test_documented_examples_run():
    for module in (jfewshot.api, jfewshot.store.creating):
        result = doctest.testmod(module, raise_on_error=True)
        assert result.failed == 0
    assert doctest.testmod(jfewshot.api).attempted > 0
