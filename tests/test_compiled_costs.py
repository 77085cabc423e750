"""The evaluator's work may not grow unnoticed; `python -m benchmarks.compiled_costs --write` says that it is meant to."""

import copy

import pytest

from benchmarks import compiled_costs
from benchmarks.compiled_costs import compiled_costs as costs_of_compiled
from benchmarks.compiled_costs import grown, numbers_of_now, read_numbers

FIX = "\nIf that is meant, run `python -m benchmarks.compiled_costs --write` and commit the file with the change."


def test_no_function_asks_for_more_operations_iterations_or_traces_than_it_did():
    sentences = grown(numbers_of_now(compiled=False), read_numbers())
    assert not sentences, "\n".join(sentences) + FIX


@pytest.mark.slow
def test_no_function_is_compiled_to_more_operations_or_memory_than_it_was():
    sentences = grown({"compiled": costs_of_compiled()}, read_numbers())
    assert not sentences, "\n".join(sentences) + FIX


def test_growth_of_any_number_is_named_and_shrinking_is_not():
    then = read_numbers()
    assert {"lowered", "compiled", "iterations", "traces"} <= set(then)
    assert grown(then, then) == []
    for kind in ("lowered", "compiled", "iterations", "traces"):
        now = copy.deepcopy(then)
        name = sorted(now[kind])[-1]
        what = sorted(now[kind][name])[-1]
        now[kind][name][what] *= 0.5
        assert grown(now, then) == []
        now[kind][name][what] = 1.06 * then[kind][name][what] + 1
        (sentence,) = grown(now, then)
        assert sentence.startswith(f"{kind}: {name}, {what}: ")
    assert "no number to compare with" in grown({"traces": {"new": {"draw": 1.0}}}, then)[0]
    assert len(compiled_costs.functions()) == len(then["lowered"]) == len(then["compiled"])
