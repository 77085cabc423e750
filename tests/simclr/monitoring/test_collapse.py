"""Effective rank and spread against SciPy and by hand; collapses by name."""

import numpy as np
import pytest
from scipy.linalg import svdvals
from scipy.stats import entropy

from jfewshot.simclr.monitoring import name_collapse, spread
from jfewshot.store.diagnostics.spectrum import effective_rank, variances_of


def test_effective_rank_is_the_exponential_of_scipy_s_entropy():
    x = np.random.default_rng(0).standard_normal((50, 12)) @ np.diag(0.5 ** np.arange(12)) + 7.0
    values = svdvals(x - x.mean(axis=0))
    assert effective_rank(variances_of(x.astype(np.float32))) == pytest.approx(np.exp(entropy(values)), rel=1e-5)


@pytest.mark.parametrize("directions", [1, 3, 8])
def test_so_many_equal_directions_have_that_rank(directions):
    corners = np.concatenate([np.eye(8)[:directions], -np.eye(8)[:directions]])
    assert effective_rank(variances_of(corners + 5.0)) == pytest.approx(directions, rel=1e-9)
    # By hand: unit distance from the mean, and a mean square of 1 + 8 x 25.
    assert spread(corners + 5.0) == pytest.approx(1 / 201)
    assert spread(corners) == 1.0


def test_embeddings_that_are_all_the_same_have_no_rank():
    same = np.full((5, 4), 0.3)
    assert (effective_rank(variances_of(same)), spread(same)) == (0.0, 0.0)
    assert spread(np.zeros((5, 4))) == 0.0


def test_collapses_have_names():
    rng = np.random.default_rng(1)
    healthy = rng.standard_normal((64, 16)) + 1.0
    equal = np.ones((64, 16)) + 1e-3 * rng.standard_normal((64, 16))
    line = rng.standard_normal((64, 1)) * np.ones(16) + 1e-3 * rng.standard_normal((64, 16)) + 1.0

    def name(x):
        ranks = [effective_rank(variances_of(each)) for each in (x, healthy)]
        return name_collapse(spread(x), ranks[0], spread(healthy), ranks[1])

    assert [name(x) for x in (healthy, equal, line)] == [None, "complete", "dimensional"]
    # Measured of a training that learns (from an effective rank of 19 to 7), and of one with a rate of 0.3 and the loss of
    # chance.
    assert name_collapse(0.107, 7.6, 0.107, 19.3) is None
    assert name_collapse(1.1e-5, 8.4, 0.0015, 19.3) == "complete"
