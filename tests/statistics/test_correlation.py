import numpy as np
import pytest
from scipy import stats

from jfewshot.statistics import correlations, holm, line_with_band, logit


def some(seed=0, n=13):
    rng = np.random.default_rng(seed)
    x = rng.random((n, 2))
    y = np.stack([x[:, 0] + 0.2 * rng.random(n), rng.random(n), -x[:, 1]], axis=1)
    y[3:5, 1] = y[3, 1]  # a tie
    return x, y


@pytest.mark.parametrize(("method", "reference"), [("spearman", stats.spearmanr), ("pearson", stats.pearsonr)])
def test_coefficients_and_p_values_agree_with_scipy(method, reference):
    x, y = some()
    found = correlations(x, y, method)
    for i, j in np.ndindex(2, 3):
        theirs = reference(x[:, i], y[:, j])
        assert found.coefficient[i, j] == pytest.approx(theirs.statistic)
        assert found.p_value[i, j] == pytest.approx(theirs.pvalue, abs=0.03)  # theirs is an approximation, too
        assert found.low[i, j] <= found.coefficient[i, j] <= found.high[i, j]
    assert found.coefficient[1, 2] == pytest.approx(-1)
    np.testing.assert_allclose(found.p_holm, holm(found.p_value))


def test_the_permutation_p_value_is_exact_scipys():
    x, y = some(n=7)
    theirs = stats.permutation_test(
        (x[:, 0],), lambda x: stats.spearmanr(x, y[:, 1]).statistic, permutation_type="pairings", rng=0
    )  # all 7! pairings
    assert correlations(x, y, n_permutations=50_000).p_value[0, 1] == pytest.approx(theirs.pvalue, abs=0.01)


def test_the_bootstrap_over_upstreams_covers():
    rng = np.random.default_rng(5)
    true, hits = 0.6, 0
    for _ in range(150):
        x = rng.standard_normal((30, 1))
        y = true * x + np.sqrt(1 - true**2) * rng.standard_normal((30, 1))
        found = correlations(x, y, "pearson", n_bootstrap=500, n_permutations=19)
        hits += found.low[0, 0] <= true <= found.high[0, 0]
    assert hits > 0.87 * 150


def test_missing_and_constant_columns_are_left_out_not_made_up():
    x, y = some()
    y[0, 0] = np.nan
    y[:, 1] = 0.5
    y[:-2, 2] = np.nan
    flat = correlations(np.full_like(x, 0.7), y)
    assert all(np.isnan(getattr(flat, name)).all() for name in ("coefficient", "low", "high", "p_value", "p_holm"))
    found = correlations(x, y)
    assert found.n[0].tolist() == [12, 13, 2]
    assert found.coefficient[0, 0] == pytest.approx(stats.spearmanr(x[1:, 0], y[1:, 0]).statistic)
    assert np.isnan(found.coefficient[:, 1:]).all()
    assert np.isnan(found.p_holm[:, 1:]).all()


def test_the_logit_leaves_ranks_alone_and_moves_pearson():
    x, y = some()
    assert logit(np.array([0.5, 0.9])) == pytest.approx([0, np.log(9)])
    y = y[:, :2]
    assert correlations(logit(x), y).coefficient == pytest.approx(correlations(x, y).coefficient)
    assert correlations(logit(x), y, "pearson").coefficient[0, 0] != pytest.approx(
        correlations(x, y, "pearson").coefficient[0, 0], abs=1e-4
    )


def test_the_band_of_a_line_is_the_textbooks():
    x, y = np.array([1.0, 2, 3, 4, 5]), np.array([1.1, 1.9, 3.2, 3.9, 5.3])
    line, band = line_with_band(x, y, np.array([3.0, 5.0]))
    fit = stats.linregress(x, y)
    assert line[0] == pytest.approx(y.mean())
    assert line[1] - line[0] == pytest.approx(2 * fit.slope)
    # At the mean of x the band is the error of the mean of y; away from it the slope's error is added.
    noise = np.sqrt(((y - fit.intercept - fit.slope * x) ** 2).sum() / 3)
    t = stats.t.ppf(0.975, 3)
    assert band[0] == pytest.approx(t * noise / np.sqrt(5))
    assert band[1] == pytest.approx(t * np.hypot(noise / np.sqrt(5), 2 * fit.stderr))


def test_permutations_count_the_order_that_was_seen():
    # Of 99 random orders of twelve upstreams none is the same order (2 in 12! are as good), so p is 1 in 100.
    x = np.arange(12.0)[:, None]
    for method in ("spearman", "pearson"):
        assert correlations(x, x, method, n_permutations=99).p_value[0, 0] == pytest.approx(1 / 100)


def test_three_upstreams_are_enough_for_a_coefficient_and_a_band_and_two_are_not():
    x, y = np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [3.0], [2.0]])
    found = correlations(x, y, "pearson", n_bootstrap=50, n_permutations=19)
    assert found.coefficient[0, 0] == pytest.approx(stats.pearsonr(x[:, 0], y[:, 0]).statistic)
    assert np.isnan(correlations(x[:2], y[:2], "pearson").coefficient[0, 0])
    assert np.isfinite(line_with_band(x[:, 0], y[:, 0], x[:, 0])[1]).all()
    line, band = line_with_band(x[:2, 0], y[:2, 0], x[:, 0])
    np.testing.assert_allclose(line, [1, 3, 7])
    assert np.isnan(band).all()
