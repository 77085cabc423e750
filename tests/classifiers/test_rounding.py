"""Predictions that float32 cannot decide are counted: against scikit-learn in float64 at a tight tolerance."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.svm import LinearSVC

from jfewshot.classifiers import SVM, Centroid, Logistic, Ridge
from jfewshot.classifiers.rounding import IMPRECISE, rounding_error
from tests.classifiers.problems import as_problem, episodes, in_their_span, margins, store_mean

N_WAY, N_QUERY = 5, 8
CLEAR = 1e-3  # of the spread of the scores over the classes


@functools.partial(jax.jit, static_argnames="classifier")
def _solve(classifier, problem, gram_qs, strength):
    model, diagnostics = classifier.fit(problem, strength)
    scores = classifier.score(model, problem, gram_qs)
    return scores, diagnostics.residual, rounding_error(model, problem, gram_qs)


def solve(classifier, support, query, strength):
    """Predictions [episodes, queries], and whether each episode is neither unconverged nor imprecise."""
    origin = store_mean(support, query) if classifier.translation_invariant else None
    problem, gram_qs = as_problem(support, query, N_WAY, origin)
    scores, residual, rounding = _solve(classifier, problem, gram_qs, jnp.float32(strength))
    held = np.asarray(rounding) <= IMPRECISE
    if classifier.tolerance is not None:
        held &= np.asarray(residual) <= classifier.tolerance
    return np.moveaxis(np.asarray(scores).argmax(1), -1, 0), held


def check(classifier, reference, support, query, strength):
    """Clear predictions differ from float64's only where it is said; returns the share of episodes where nothing is said."""
    predicted, held = solve(classifier, support, query, strength)
    labels = np.repeat(np.arange(N_WAY), support.shape[1] // N_WAY)
    for s, q, ours, trusted in zip(*in_their_span(support, query), predicted, held, strict=True):
        with warnings.catch_warnings():
            # Asked for more digits than float64 has, solvers stop on their own terms and say so.
            warnings.simplefilter("ignore", ConvergenceWarning)
            scores = reference(strength).fit(s, labels).decision_function(q)
        spread = (scores.max(1) - scores.min(1)).mean()
        wrong = (scores.argmax(1) != ours) & (margins(scores) > CLEAR * spread)
        assert not (trusted and wrong.any())
    return held.mean()


REFERENCES = {
    "ridge": (Ridge(), lambda alpha: RidgeClassifier(alpha=alpha, solver="svd")),
    "logistic": (Logistic(), lambda c: LogisticRegression(C=c, tol=1e-12, max_iter=10_000, solver="newton-cholesky")),
    "svm": (SVM(), lambda c: LinearSVC(C=c, tol=1e-10, max_iter=10_000, dual=False)),
}
# The strengths at which nothing may be said of ordinary embeddings, and those at which float32 has no digits left.
FINE = {"ridge": (1e-12, 1e-6, 1e-2, 1.0), "logistic": (1e-2, 1e2), "svm": (1e-2, 1e2)}
TOO_STRONG = {"ridge": (1e6,), "logistic": (1e-6,), "svm": (1e-7,)}


@pytest.mark.parametrize("k_shot", [1, 5])
@pytest.mark.parametrize("name", REFERENCES)
def test_what_is_not_counted_agrees_with_float64(name, k_shot):
    support, query = episodes(N_WAY, k_shot, N_QUERY, "centred", dim=48, n_episodes=8)
    for strength in FINE[name]:
        assert check(*REFERENCES[name], support, query, strength) == 1.0, strength
    for strength in TOO_STRONG[name]:
        assert check(*REFERENCES[name], support, query, strength) == 0.0, strength


@pytest.mark.parametrize("name", ["ridge", "logistic"])
def test_a_constant_direction_that_drowns_all_others_is_counted(name):
    rng = np.random.default_rng(0)
    support, query = (
        np.concatenate([x, size + rng.standard_normal((*x.shape[:2], 1))], -1)
        for x, size in zip(episodes(N_WAY, 1, N_QUERY, "centred", dim=48), (1e5, 1e5), strict=True)
    )
    support, query = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (support, query))
    assert check(*REFERENCES[name], support, query, 1.0) == 0.0


def test_many_supports_in_few_dimensions_are_trusted_only_where_they_are_right():
    support, query = episodes(N_WAY, 20, N_QUERY, "centred", dim=2, n_episodes=12)
    shares = [check(*REFERENCES["ridge"], support, query, alpha) for alpha in (1e-8, 1e-4, 1.0)]
    assert shares[0] < 1.0
    assert shares[-1] == 1.0


def test_an_embedding_that_is_always_the_same_is_imprecise():
    support, query = np.ones((4, 5, 8)), np.ones((4, 10, 8))
    for classifier in (Ridge(), Logistic(), SVM()):
        assert not solve(classifier, support, query, 1.0)[1].any()


def test_nothing_is_said_of_classifiers_that_are_not_linear():
    problem, gram_qs = as_problem(*episodes(N_WAY, 1, N_QUERY, "centred"), N_WAY)
    assert np.isnan(rounding_error(Centroid().fit(problem)[0], problem, gram_qs)).all()
