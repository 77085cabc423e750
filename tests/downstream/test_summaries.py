"""Summaries: controls come first, curves are means over folds, differences are paired by seed."""

from typing import NamedTuple

import numpy as np
import pytest

from jfewshot.downstream.confusions import accuracy, half_width
from jfewshot.downstream.summaries import controls_first, mean_curves, paired_difference


class Row(NamedTuple):
    kind: str
    score: float


def test_controls_come_first_and_then_the_best():
    rows = [Row("simclr", 0.3), Row("random", 0.9), Row("store", 0.7), Row("fbank", 0.1)]
    ordered = controls_first(rows, lambda each: each.score)
    assert [each.score for each in ordered] == [0.1, 0.9, 0.7, 0.3]


def test_a_curve_is_the_mean_over_the_folds_of_a_seed():
    def record(seed, score):
        return {"seed": seed, "curve": [[10, score, 2.0], [20, score + 0.2, 1.0]]}

    curves = mean_curves([record(0, 0.2), record(1, 0.9), record(0, 0.4)], [1, 0])
    np.testing.assert_allclose(curves, [[[0.9, 2.0], [1.1, 1.0]], [[0.3, 2.0], [0.5, 1.0]]], rtol=1e-12)


def test_a_difference_is_over_the_seeds_that_both_have():
    rng = np.random.default_rng(0)
    mine, theirs = rng.integers(1, 20, (2, 3, 4, 2, 2))

    def of_seeds(counts):
        return float(np.mean([accuracy(one) - accuracy(two) for one, two in zip(*counts, strict=True)]))

    found = paired_difference(((0, 1, 2), mine), ((2, 5, 1), theirs), of_seeds, accuracy)
    pairs = [(mine[1], theirs[2]), (mine[2], theirs[0])]
    by_seed = [accuracy(one.sum(axis=0)) - accuracy(two.sum(axis=0)) for one, two in pairs]
    assert found.value == pytest.approx(np.mean(by_seed), abs=1e-12)
    assert found.over_seeds == pytest.approx(half_width(np.array(by_seed)), abs=1e-12)
    assert np.isnan(paired_difference(((0,), mine[:1]), ((1,), theirs[:1]), of_seeds, accuracy).value)
