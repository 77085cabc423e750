"""`logistic:C=auto` with many supports: Newton's method in the eigenbasis, against scikit-learn in float64 at tol 1e-10."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import threadpoolctl
from sklearn.linear_model import LogisticRegression

from jfewshot.classifiers import Logistic, logistic, logistic_spectral
from jfewshot.classifiers.auto import Auto
from jfewshot.classifiers.base import Support, centred
from jfewshot.classifiers.leave_one_out import spectrum
from jfewshot.classifiers.many_supports import one_at_a_time

WAY, SHOT, EPISODES = 3, 16, 4
LABELS = np.repeat(np.arange(WAY), SHOT)
TARGET = jnp.asarray(np.eye(WAY)[LABELS].T, jnp.float32)


def embeddings(dim, spread, seed=0):
    """Supports and queries of unit length whose directions differ in scale by 100, without a common mean."""
    rng = np.random.default_rng(seed)
    scale = np.geomspace(1, 0.01, dim)
    centres = rng.standard_normal((EPISODES, WAY, 1, dim))
    x = (centres + spread * rng.standard_normal((EPISODES, WAY, SHOT + 5, dim))) * scale
    x = (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)
    flat = [part.reshape(EPISODES, -1, dim) for part in (x[:, :, :SHOT], x[:, :, SHOT:])]
    return flat[0], flat[1]


def support_of(x):
    gram = jnp.asarray(np.einsum("eid,ejd->ije", x, x, dtype=np.float64), jnp.float32)
    return Support(gram, jnp.arange(EPISODES, dtype=jnp.uint32), jnp.zeros(2, jnp.uint32), WAY, SHOT)


@jax.jit
def solved(gram, penalty):
    """Coefficients, intercepts for centred inner products, residuals."""
    found = spectrum(centred(gram)[0])

    def solve(values, vectors, penalty):
        return logistic_spectral.solve(values, vectors, TARGET, penalty, 1e-5, 2e-4)

    return one_at_a_time(solve, *found, penalty)


@threadpoolctl.threadpool_limits.wrap(limits=1)  # small fits, which threads slow down
@pytest.mark.parametrize(("dim", "spread"), [(64, 0.3), (64, 2.0), (8, 1.0)])
@pytest.mark.parametrize("C", [1.0, 100.0, 1e4])
def test_scores_are_scikit_learns(dim, spread, C):
    """Separable classes, classes that overlap, and fewer dimensions than supports, where C = 1e4 leaves float32 two digits."""
    support, query = embeddings(dim, spread)
    given = support_of(support)
    found = solved(given.gram, jnp.full(EPISODES, 1 / C, jnp.float32))
    assert float(found.residual.max()) <= 1e-5
    tolerance = 1e-2 if dim < WAY * SHOT and C > 100 else 1e-3
    for e in range(EPISODES):
        x, q = support[e].astype(np.float64), query[e].astype(np.float64)
        origin = x.mean(0)
        alpha = np.asarray(found.alpha[:, :, e], np.float64)
        ours = (q - origin) @ (x - origin).T @ alpha.T + np.asarray(found.bias[:, e], np.float64)
        theirs = LogisticRegression(C=C, tol=1e-10, max_iter=100_000).fit(x, LABELS).decision_function(q)
        ours -= ours.mean(1, keepdims=True)
        np.testing.assert_allclose(ours, theirs, atol=tolerance * np.abs(theirs).max())
        sure = np.diff(np.sort(theirs, axis=1)[:, -2:], axis=1)[:, 0] > 2 * tolerance * np.abs(theirs).max()
        assert (ours.argmax(1) == theirs.argmax(1))[sure].all()


@pytest.mark.parametrize("shots", [4, pytest.param(SHOT, marks=pytest.mark.slow)])
def test_the_choice_is_the_same_and_the_predictions_are_those_of_the_chosen_strength(shots, monkeypatch):
    """Few supports are quick to compile, and the solver of many takes them if it must."""
    monkeypatch.setattr(logistic, "_SPECTRAL_FROM", min(WAY * shots - 1, logistic._SPECTRAL_FROM))
    support, query = embeddings(24, 1.0, seed=2)
    support = support.reshape(EPISODES, WAY, SHOT, -1)[:, :, :shots].reshape(EPISODES, WAY * shots, -1)
    labels = np.repeat(np.arange(WAY), shots)
    gram = jnp.asarray(np.einsum("eid,ejd->ije", support, support), jnp.float32)
    given = Support(gram, jnp.arange(EPISODES, dtype=jnp.uint32), jnp.zeros(2, jnp.uint32), WAY, shots)
    classifier = Logistic()
    gram_qs = jnp.asarray(np.einsum("eqd,ejd->qje", query, support), jnp.float32)

    @jax.jit
    def chosen_and_fitted(given, gram_qs):
        model, diagnostics = Auto(classifier).fit(given)
        return diagnostics, classifier.choose(given), Auto(classifier).score(model, given, gram_qs)

    diagnostics, place, scores = chosen_and_fitted(given, gram_qs)
    assert diagnostics.chosen.tolist() == place.tolist()
    assert float(diagnostics.residual.max()) <= 1e-5
    assert float(diagnostics.iterations.min()) > 0
    for e in range(EPISODES):
        C = classifier.strength.grid[int(place[e])]
        fit = LogisticRegression(C=C, tol=1e-10, max_iter=100_000).fit(support[e].astype(np.float64), labels)
        theirs = fit.decision_function(query[e].astype(np.float64))
        ours = np.asarray(scores[:, :, e], np.float64)
        np.testing.assert_allclose(ours - ours.mean(1, keepdims=True), theirs, atol=1e-3 * np.abs(theirs).max())
