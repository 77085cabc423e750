"""Every classifier against scikit-learn in float64 at a tight tolerance, on the same embeddings.

Predictions must agree on every query whose reference margin exceeds 1e-4 (1e-3 where embeddings have norm 100, since float32
resolves inner products of 10,000 to 1e-3): nearer ties may go either way.
"""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.svm import LinearSVC

from jfewshot.classifiers import KNN, SVM, Centroid, Logistic, Ridge
from tests.classifiers.problems import N_EPISODES, REGIMES, episodes, in_their_span, margins, scores_of

SHAPES = [(2, 1), (5, 1), (5, 5), (5, 20), (3, 7), (20, 1), (20, 5)]
N_QUERY = 5


def reference_scores(make, support, query, n_way):
    labels = np.repeat(np.arange(n_way), support.shape[1] // n_way)
    scores = []
    for s, q in zip(support, query, strict=True):
        with warnings.catch_warnings():
            # Asked for more digits than float64 has, solvers stop on their own terms and say so.
            warnings.simplefilter("ignore", ConvergenceWarning)
            values = make().fit(s, labels).decision_function(q)
        scores.append(np.stack([-values, values], -1) if n_way == 2 else values)
    return np.stack(scores)


def assert_same_decisions(ours, reference, regime):
    clear = margins(reference) > (1e-3 if regime == "large norm" else 1e-4)
    assert clear.mean() > 0.5, "the comparison needs clear queries to compare"
    differing = (ours.argmax(-1) != reference.argmax(-1)) & clear
    assert not differing.any(), f"{differing.sum()} of {clear.sum()} decisions differ"


LOGISTIC_CASES = [
    *((*shape, regime, 1.0) for shape in SHAPES for regime in REGIMES),
    *((5, 1, regime, strength) for strength in (0.01, 100.0) for regime in REGIMES),
    # Many supports, which are solved one episode at a time.
    *((5, 32, regime, 1.0) for regime in REGIMES),
    (2, 60, "centred", 100.0),
    (2, 5, "shared mean", 100.0),
    (5, 5, "centred", 100.0),
]


@pytest.mark.parametrize(("n_way", "k_shot", "regime", "strength"), LOGISTIC_CASES)
def test_logistic_decides_as_converged_logistic_regression(n_way, k_shot, regime, strength):
    support, query = episodes(n_way, k_shot, N_QUERY, regime, n_episodes=4 if n_way * k_shot >= 60 else 12)
    ours, diagnostics = scores_of(Logistic(), support, query, n_way, strength)
    # The reference gets the embeddings about their mean, which changes no solution and lets lbfgs reach it.
    origin = support.mean((0, 1))
    reference = reference_scores(
        lambda: LogisticRegression(C=strength, tol=1e-10, max_iter=20_000),
        *in_their_span(support - origin, query - origin),
        n_way,
    )
    assert_same_decisions(ours, reference, regime)
    assert float(diagnostics.residual.max()) <= Logistic.tolerance


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("n_way", "k_shot"), SHAPES)
@pytest.mark.parametrize("strength", [0.1, 10.0])
def test_ridge_decides_as_ridge_classifier(n_way, k_shot, regime, strength):
    check_ridge(n_way, k_shot, regime, strength)


@pytest.mark.parametrize(("regime", "strength"), [("centred", 0.01), ("shared mean", 1.0), ("large norm", 1.0)])
def test_ridge_with_many_supports_decides_as_ridge_classifier(regime, strength):
    check_ridge(5, 32, regime, strength)


def check_ridge(n_way, k_shot, regime, strength):
    # A penalty of 0.1 beside squared norms of 10,000 asks float32 for digits that it does not have: the default of 1 there.
    strength = max(strength, 1.0) if regime == "large norm" else strength
    support, query = episodes(n_way, k_shot, N_QUERY, regime, n_episodes=6)
    ours, _ = scores_of(Ridge(), support, query, n_way, strength)
    reference = reference_scores(lambda: RidgeClassifier(alpha=strength), support, query, n_way)
    assert_same_decisions(ours, reference, regime)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("n_way", "k_shot"), [(2, 1), (2, 5), (5, 1), (5, 5), (3, 7), (20, 1)])
@pytest.mark.parametrize("strength", [1.0, 10.0])
def test_svm_decides_as_linear_svc(n_way, k_shot, regime, strength):
    check_svm(n_way, k_shot, regime, strength)


@pytest.mark.parametrize(
    ("n_way", "k_shot", "regime", "strength"),
    [(5, 32, "centred", 1.0), (5, 32, "shared mean", 10.0), (5, 32, "large norm", 1.0), (2, 60, "centred", 10.0)],
)
def test_svm_with_many_supports_decides_as_linear_svc(n_way, k_shot, regime, strength):
    check_svm(n_way, k_shot, regime, strength)


def check_svm(n_way, k_shot, regime, strength):
    # The penalised intercept forbids measuring from the mean, so norms of 100 cost digits: no more than the default C there.
    strength = 0.1 * strength if regime == "large norm" else strength
    support, query = episodes(n_way, k_shot, N_QUERY, regime, n_episodes=2 if n_way * k_shot > 100 else 8)
    ours, diagnostics = scores_of(SVM(), support, query, n_way, strength)
    reference = reference_scores(
        lambda: LinearSVC(C=strength, tol=1e-10, max_iter=1_000_000, random_state=0), support, query, n_way
    )
    assert_same_decisions(ours, reference, regime)
    assert float(diagnostics.residual.max()) <= SVM.tolerance


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("n_way", "k_shot"), [shape for shape in SHAPES if shape[1] > 1])
def test_centroid_decides_as_nearest_centroid(n_way, k_shot, regime):
    support, query = episodes(n_way, k_shot, N_QUERY, regime)
    ours, _ = scores_of(Centroid(), support, query, n_way)
    labels = np.repeat(np.arange(n_way), k_shot)
    reference = np.stack([NearestCentroid().fit(s, labels).predict(q) for s, q in zip(support, query, strict=True)])
    clear = margins(ours) > (1e-1 if regime == "large norm" else 1e-4)
    assert (ours.argmax(-1) == reference)[clear].all()


def test_one_shot_centroid_is_the_nearest_neighbour():
    """scikit-learn's NearestCentroid refuses one clip per class; there it is 1-NN."""
    support, query = episodes(5, 1, N_QUERY, "shared mean")
    centroid, _ = scores_of(Centroid(), support, query, 5)
    nearest, _ = scores_of(KNN(), support, query, 5)
    np.testing.assert_array_equal(centroid.argmax(-1), nearest.argmax(-1))


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("n_way", "k_shot", "k"), [(2, 1, 1), (5, 1, 1), (5, 5, 1), (5, 5, 3), (3, 7, 6), (20, 5, 5)])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_knn_decides_as_k_neighbors_classifier(n_way, k_shot, k, regime, metric):
    support, query = episodes(n_way, k_shot, N_QUERY, regime)
    ours, _ = scores_of(KNN(k=k, metric=metric), support, query, n_way)
    labels = np.repeat(np.arange(n_way), k_shot)
    for s, q, scores in zip(support, query, ours, strict=True):
        neighbours = KNeighborsClassifier(n_neighbors=k, metric=metric, algorithm="brute").fit(s, labels)
        np.testing.assert_array_equal(scores.argmax(-1), neighbours.predict(q))


def test_cosine_centroid_decides_by_the_angle_to_the_class_mean():
    support, query = episodes(5, 5, N_QUERY, "shared mean")
    ours, _ = scores_of(Centroid(metric="cosine"), support, query, 5)
    means = support.reshape(N_EPISODES, 5, 5, -1).mean(2)
    means /= np.linalg.norm(means, axis=-1, keepdims=True)
    reference = np.einsum("eqd,ecd->eqc", query, means)
    np.testing.assert_allclose(ours, reference, atol=1e-5)


@pytest.mark.parametrize(("n_way", "k_shot"), [(2, 1), (2, 5), (5, 1)])
def test_logistic_scores_are_scikit_learns_not_only_its_decisions(n_way, k_shot):
    """Differences between classes to 1e-4, the solver's 1e-5 on scores of order one with room: a wrong penalty would show."""
    support, query = episodes(n_way, k_shot, N_QUERY, "centred")
    ours, _ = scores_of(Logistic(), support, query, n_way)
    reference = reference_scores(
        lambda: LogisticRegression(C=1.0, tol=1e-10, max_iter=20_000), *in_their_span(support, query), n_way
    )
    # Two classes: scikit-learn gives one value, the difference of ours; `reference_scores` mirrors it.
    reference = reference / 2 if n_way == 2 else reference
    ours, reference = (x - x.mean(-1, keepdims=True) for x in (ours, reference))
    np.testing.assert_allclose(ours, reference, atol=1e-4)


FULL_DATA = {
    "logistic": (Logistic(), lambda: LogisticRegression(C=1.0, tol=1e-10, max_iter=20_000)),
    "ridge": (Ridge(), lambda: RidgeClassifier(alpha=1.0)),
    "svm": (SVM(), lambda: LinearSVC(C=1.0, tol=1e-8, max_iter=100_000, random_state=0)),
}


@pytest.mark.parametrize("name", FULL_DATA)
@pytest.mark.parametrize(("n_way", "k_shot", "dim"), [(6, 100, 48), pytest.param(10, 200, 256, marks=pytest.mark.slow)])
def test_all_clips_of_a_dataset_are_fitted_as_scikit_learn_fits_them(name, n_way, k_shot, dim):
    """One episode of 600 or 2,000 supports, in far fewer dimensions: what a curve of shots ends with."""
    ours, make = FULL_DATA[name]
    support, query = episodes(n_way, k_shot, N_QUERY, "centred", n_episodes=1, dim=dim)
    scores, diagnostics = scores_of(ours, support, query, n_way)
    assert_same_decisions(scores, reference_scores(make, support, query, n_way), "centred")
    if ours.tolerance:
        assert float(diagnostics.residual.max()) <= ours.tolerance
