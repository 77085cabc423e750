"""The law of few-shot curves: its arithmetic against brute force, and what its predictions and intervals promise."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, special

from jfewshot.statistics import labels_beyond, labels_needed, predict_curve
from jfewshot.statistics.law import _covariance
from studies.learning_curves import held_out, populations, simulated

SHOTS = (1, 2, 3, 5, 8, 12, 20)
MEASURED = Path(__file__).parents[2] / "benchmarks/measured/learning_curves.json"


def test_the_prior_covariance_is_the_integral_of_the_slopes():
    """Of the slope, an Ornstein-Uhlenbeck process that begins with a given spread, the covariance is known; the level's is its
    double integral, here by quadrature."""
    decay, drift, level, slope = 0.4, 0.3, 2.0, 0.7
    x = np.array([0.0, 0.7, 1.9])

    def of_slopes(s, t):
        first = min(s, t)
        noise = drift**2 / (2 * decay) * np.exp(-decay * abs(s - t)) * (1 - np.exp(-2 * decay * first))
        return slope**2 * np.exp(-decay * (s + t)) + noise

    found = _covariance(x, decay, drift)
    for i, j in ((1, 1), (1, 2), (2, 2)):
        theirs, _ = integrate.dblquad(lambda s, t: of_slopes(s, t), 0, x[i], 0, x[j], epsabs=1e-7)
        assert found[i, j] == pytest.approx(level**2 + theirs, abs=2e-5)
    assert found[0] == pytest.approx([level**2] * 3)


def test_the_mixture_is_bayes_rule_by_brute_force():
    """Two evaluated points are too few for the public function, so five; draws of whole curves are weighted by how well they
    explain the evaluated points."""
    shots, at = (1, 2, 4, 8, 16), (32,)
    mean, error = np.array([0.40, 0.50, 0.58, 0.68, 0.73]), np.full(5, 0.03)
    found = predict_curve(shots, mean, error, at)
    rng, total, first, second = np.random.default_rng(0), 0.0, 0.0, 0.0
    value = special.ndtri(mean)
    noise = (error / (np.exp(-0.5 * value**2) / np.sqrt(2 * np.pi))) ** 2 + 0.003**2
    x = np.log(np.array([*shots, *at], dtype=float))
    for decay in (0.02, 0.25, 0.5):
        for drift in np.geomspace(0.02, 0.6, 9):
            prior = np.exp(-0.5 * (np.log(drift / 0.05) / 0.8) ** 2)
            root = np.linalg.cholesky(_covariance(x, decay, drift) + 1e-12 * np.eye(6))
            curves = rng.standard_normal((40_000, 6)) @ root.T
            weight = prior * np.exp(-0.5 * ((curves[:, :5] - value) ** 2 / noise).sum(axis=1))
            total += weight.sum()
            first += (weight * curves[:, 5]).sum()
            second += (weight * curves[:, 5] ** 2).sum()
    centre = float((found.weight @ found.mean)[0])
    spread = float(np.sqrt((found.weight @ (found.variance + found.mean**2))[0] - centre**2))
    assert centre == pytest.approx(first / total, abs=0.02)
    assert spread == pytest.approx(np.sqrt(second / total - (first / total) ** 2), rel=0.15)


def test_a_straight_curve_goes_on_and_a_crooked_one_is_less_sure():
    x = np.log(np.array(SHOTS))
    straight, error = special.ndtr(-0.3 + 0.35 * x), np.full(7, 0.002)
    low, middle, high = predict_curve(SHOTS, straight, error, [60]).quantiles([0.05, 0.5, 0.95])[0]
    assert middle == pytest.approx(special.ndtr(-0.3 + 0.35 * np.log(60)), abs=0.01)
    bent = special.ndtr(-0.3 + 0.35 * x - 0.2 * np.maximum(x - 1.5, 0) ** 2 + 0.1 * np.sin(2 * x))
    wide = np.ptp(predict_curve(SHOTS, bent, error, [60]).quantiles([0.05, 0.95])[0])
    assert high - low < 0.05 < wide
    # What the whole curve shares widens the interval as much as it is large.
    shared = predict_curve(SHOTS, straight, error, [60], shared_error=0.05).quantiles([0.05, 0.5, 0.95])[0]
    assert shared[0] < low - 0.02
    assert shared[2] > high + 0.02


def test_labels_beyond_the_curve_have_an_interval_and_an_end():
    x = np.log(np.array(SHOTS))
    mean, error = special.ndtr(-0.3 + 0.35 * x), np.full(7, 0.002)
    true = np.exp((special.ndtri(0.85) + 0.3) / 0.35)
    near, far = labels_beyond(SHOTS, mean, error, [0.85, 0.999])
    assert near.extrapolated
    assert near.labels == pytest.approx(true, rel=0.1)
    assert 20 < near.low < near.labels < near.high < 200
    assert (far.labels, far.high) == (None, None)
    assert labels_needed(SHOTS, mean, error, [0.85])[0].labels is None


def test_fewer_than_five_points_and_falling_curves_are_declined():
    mean, error = np.array([0.3, 0.4, 0.5, 0.55]), np.full(4, 0.01)
    assert labels_beyond((1, 2, 5, 10), mean, error, [0.9]) is None
    falling = np.array([0.3, 0.5, 0.6, 0.55, 0.5])
    assert labels_beyond((1, 2, 5, 10, 20), falling, np.full(5, 0.01), [0.9]) is None
    unknown = np.array([0.3, np.nan, 0.5, 0.6, 0.7])
    assert predict_curve((1, 2, 5, 10, 20), unknown, np.full(5, 0.01), [40]) is None


def test_certain_accuracies_do_not_break_it():
    found = labels_beyond((1, 2, 5, 10, 20), np.array([0.9, 0.95, 0.99, 1.0, 1.0]), np.zeros(5), [0.95])
    assert found[0].labels == 20


def test_intervals_of_simulated_curves_hold_the_truth():
    """A short version of the study, whose shares are in the measured file."""
    held = simulated(20, seed=5)
    assert 0.85 <= held["all"] <= 0.99, held
    assert populations(12, n_episodes=200, n_true=5000) >= 0.85


def test_the_measured_file_keeps_its_promises():
    found = json.loads(MEASURED.read_text("utf-8"))
    assert 0.85 <= found["simulated"]["all"] <= 0.95
    assert len(found["curves"]) == 96
    again = held_out(found["curves"])
    for name, own in again.items():
        assert own == pytest.approx(found["held_out"][name]), name
        assert own["inside"] >= 0.8
        assert own["median_width"] <= 10
        assert own["declined"] <= 0.25
