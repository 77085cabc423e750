"""The accuracy to expect on new clips."""

import numpy as np
import pytest
from scipy import stats

from jfewshot.statistics.expected import Outcomes, expected_interval, outcomes_of
from jfewshot.store import open_store
from jfewshot.store.reading import sample_stores


def test_without_groups_the_variance_is_that_of_both_samples():
    outcomes = Outcomes(80, 100, 100, 1.0, 0.0)
    low, high = expected_interval(outcomes, 50)
    # Worked out by hand: p (1 - p) (1 / 100 + 1 / 50) with p = 80.5 / 101.
    p = 80.5 / 101
    spread = np.sqrt(p * (1 - p) * (1 / 100 + 1 / 50))
    assert low == pytest.approx(p - 1.96 * spread, abs=0.025)
    assert high == pytest.approx(p + 1.96 * spread, abs=0.025)


def test_with_endless_labelled_clips_the_interval_is_binomial():
    outcomes = Outcomes(700_000, 1_000_000, 1_000_000, 1.0, 0.0)
    binomial = stats.binom(40, 0.7).ppf([0.025, 0.975]) / 40
    assert expected_interval(outcomes, 40) == pytest.approx(binomial)


def test_the_correlation_within_groups_is_found():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(400), 10)
    shares = rng.beta(4.0, 1.0, 400)  # correlation 1 / (4 + 1 + 1)
    found = outcomes_of(rng.random(4000) < shares[group], group)
    assert found.accuracy == pytest.approx(0.8, abs=0.03)
    assert found.correlation == pytest.approx(1 / 6, abs=0.04)
    assert found.clips_per_group == 10
    alone = outcomes_of(rng.random(4000) < shares[group], np.arange(4000))
    assert (alone.correlation, alone.clips_per_group) == (0.0, 1.0)


@pytest.mark.parametrize(("n_groups", "per_group", "m"), [(200, 1, 60), (40, 6, 60)])
def test_the_interval_covers_new_clips_of_new_groups(n_groups, per_group, m):
    """The fast form of studies/expected_accuracy.py, on outcomes whose distribution is known."""
    rng = np.random.default_rng(0)
    covered, widths, binomial = [], [], []
    for _ in range(250):
        shares = rng.beta(8.0, 2.0, n_groups + m)
        group = np.repeat(np.arange(n_groups), per_group)
        outcomes = outcomes_of(rng.random(len(group)) < shares[group], group)
        new = np.repeat(n_groups + np.arange(m // per_group), per_group)
        share = (rng.random(len(new)) < shares[new]).mean()
        low, high = expected_interval(outcomes, len(new))
        covered.append(low - 1e-9 <= share <= high + 1e-9)
        widths.append(high - low)
        binomial.append(np.diff(stats.binom(len(new), outcomes.accuracy).ppf([0.025, 0.975]))[0] / len(new))
    assert 0.90 <= np.mean(covered) <= 0.98
    if per_group == 1:
        assert np.median(np.array(widths) / binomial) <= 1.3


def test_the_interval_stays_between_0_and_1():
    for n_correct in (0, 10):
        low, high = expected_interval(Outcomes(n_correct, 10, 10, 1.0, 0.0), 20)
        assert 0 <= low <= high <= 1


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["esc10/fbank", "fsdd_speakers/speech_simclr_small"])
def test_the_interval_covers_new_clips_of_a_sample_store(cell):
    from studies.expected_accuracy import measure

    found = measure(open_store(sample_stores() / cell), 40, (30, 60))
    for m in ("30", "60"):
        # 0.95 but for the chance of 40 splits, which share clips.
        assert np.mean(found[m]["covered"]) >= 0.85
