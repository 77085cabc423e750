"""Log-loss, calibration error and top-k against scikit-learn and float64 loops, and intervals by deletion."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import log_loss, top_k_accuracy_score

from jfewshot.statistics.calibration import among_first, calibration_errors, log_losses, reliability, tempered

E, W, Q = 30, 4, 5
TRUE = np.repeat(np.arange(W), Q)


@pytest.fixture(scope="module")
def log_p():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (E, W * Q, W)) + 2.0 * np.eye(W)[TRUE]
    return log_softmax(logits, axis=2).astype(np.float16)


def test_the_mean_log_loss_is_scikit_learns(log_p):
    p = np.exp(log_p.astype(np.float64)).reshape(-1, W)
    p /= p.sum(1, keepdims=True)  # scikit-learn wants sums of 1, which half precision misses by 1e-3
    assert log_losses(log_p, TRUE).mean() == pytest.approx(log_loss(np.tile(TRUE, E), p), abs=1e-3)
    exact = log_softmax(log_p.astype(np.float64), axis=2)
    np.testing.assert_allclose(log_loss(np.tile(TRUE, E), np.exp(exact).reshape(-1, W)), log_losses(exact, TRUE).mean())


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_is_scikit_learns(log_p, k):
    # scikit-learn takes the largest index among equals, and there are some in half precision: on reversed classes, ours.
    flipped = log_p[:, :, ::-1].reshape(-1, W).astype(np.float64)
    expected = top_k_accuracy_score(np.tile(W - 1 - TRUE, E), flipped, k=k, labels=np.arange(W))
    assert among_first(log_p, TRUE, k).mean() == pytest.approx(expected)


def test_a_temperature_divides_logits():
    log_p = log_softmax(np.array([[[1.0, 2.0, 4.0]], [[0.0, -3.0, 5.0]]]), axis=2)
    found = tempered(log_p, np.array([2.0, 0.5]))
    np.testing.assert_allclose(found[0, 0], log_softmax([2.0, 4.0, 8.0]))
    np.testing.assert_allclose(found[1, 0], log_softmax([0.0, -1.5, 2.5]))


def one_by_one(confidence, correct):
    """The calibration error of Guo et al., query by query."""
    found = 0.0
    for b in range(15):
        inside = [i for i, c in enumerate(confidence) if b / 15 < c <= (b + 1) / 15]
        if inside:
            found += abs(sum(float(correct[i]) - confidence[i] for i in inside)) / len(confidence)
    return found


def test_the_calibration_error_is_that_of_the_definition(log_p):
    confidence = np.exp(log_p.max(2).astype(np.float64))
    correct = log_p.argmax(2) == TRUE
    values = calibration_errors(confidence, correct)
    assert values.mean() == pytest.approx(one_by_one(confidence.ravel(), correct.ravel()))
    bins = reliability(confidence, correct)
    filled = bins.share > 0
    gaps = np.abs(bins.accuracy - bins.confidence)[filled]
    assert (bins.share[filled] * gaps).sum() == pytest.approx(values.mean())
    # By hand: 0.6 and 0.95 are in bins of their own, the edge 0.8 in the lower of its two.
    found = calibration_errors(np.array([[0.6, 0.95, 0.8, 0.79]]), np.array([[True, True, False, False]]))
    np.testing.assert_allclose(found, [[0.4, 0.05, 0.8, 0.79]])


def test_the_calibration_error_has_fifteen_bins():
    # Where some bins are too sure and others not sure enough, the error depends on where the bins lie.
    rng = np.random.default_rng(1)
    confidence = rng.uniform(size=(E, W * Q))
    correct = rng.uniform(size=confidence.shape) < confidence + 0.3 * np.sin(40 * confidence)
    expected = one_by_one(confidence.ravel(), correct.ravel())
    assert calibration_errors(confidence, correct).mean() == pytest.approx(expected)
    assert len(reliability(confidence, correct).share) == 15


def test_the_values_say_what_the_error_is_without_an_episode(log_p):
    """Deleting an episode changes the error by (mean - its mean) / (n - 1), as the jackknife takes it, where no sign changes."""
    confidence = np.exp(log_p.max(2).astype(np.float64))
    correct = log_p.argmax(2) == TRUE
    values = calibration_errors(confidence, correct)
    changed = [calibration_errors(np.delete(confidence, e, 0), np.delete(correct, e, 0)).mean() for e in range(E)]
    expected = values.mean() + (values.mean() - values.mean(1)) / (E - 1)
    correlation = np.corrcoef(changed, expected)[0, 1]
    assert correlation > 0.9
    assert np.median(np.abs(changed - expected)) < 0.1 * np.std(expected)
