"""Training on all labels of unequal classes against scikit-learn in float64 at tol 1e-10, and the choice of strength against the
classifiers' own, which equal classes allow."""

import jax.numpy as jnp
import numpy as np
import pytest
import threadpoolctl
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier

from jfewshot.classifiers.base import Support
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.errors import UserError
from jfewshot.evaluator.full_data import TOLERANCE, check_classifier, fit_and_score


def unequal(n_way=4, dim=12, seed=0, spread=1.0):
    """Supports of classes of 6, 11, 16 ... clips that point one way, as embeddings do, and queries."""
    rng = np.random.default_rng(seed)
    sizes = 6 + 5 * np.arange(n_way)
    labels = np.repeat(np.arange(n_way), sizes)
    centres = rng.standard_normal((n_way, dim))
    common = 3 * rng.standard_normal(dim)
    scales = np.geomspace(1, 0.05, dim)

    def some(of):
        x = common + (centres[of] + spread * rng.standard_normal((len(of), dim))) * scales
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    return some(labels), labels, some(np.repeat(np.arange(n_way), 25))


@threadpoolctl.threadpool_limits.wrap(limits=1)  # small fits, which threads slow down
@pytest.mark.parametrize("n_way", [2, 4])
@pytest.mark.parametrize("C", [1.0, 100.0])
def test_logistic_scores_are_scikit_learns_at_tol_1e_10(n_way, C):
    support, labels, query = unequal(n_way)
    ours = fit_and_score(support, labels, query, n_way, parse_classifier("logistic"), C)
    theirs = LogisticRegression(C=C, tol=1e-10, max_iter=100_000).fit(support, labels)
    assert ours.residual <= TOLERANCE
    # Softmax scores are known up to a number that all classes share.
    centred = ours.scores - ours.scores.mean(axis=1, keepdims=True)
    decision = theirs.decision_function(query)
    if n_way == 2:
        decision = np.stack([-decision, decision], axis=1) / 2
    np.testing.assert_allclose(
        centred, decision - decision.mean(axis=1, keepdims=True), atol=2e-5 * np.abs(decision).max()
    )
    assert (ours.scores.argmax(axis=1) == theirs.predict(query)).all()
    proba = np.exp(ours.scores - ours.scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(proba / proba.sum(axis=1, keepdims=True), theirs.predict_proba(query), atol=1e-5)


def test_logistic_on_separable_classes_of_more_dimensions_than_clips():
    support, labels, query = unequal(3, dim=80, spread=0.1)
    ours = fit_and_score(support, labels, query, 3, parse_classifier("logistic"), 100.0)
    theirs = LogisticRegression(C=100.0, tol=1e-10, max_iter=100_000).fit(support, labels)
    assert ours.residual <= TOLERANCE
    decision = theirs.decision_function(query)
    np.testing.assert_allclose(
        ours.scores - ours.scores.mean(1, keepdims=True), decision, atol=1e-4 * np.abs(decision).max()
    )


@pytest.mark.parametrize("alpha", [1e-4, 1.0])
def test_ridge_is_scikit_learns(alpha):
    support, labels, query = unequal()
    ours = fit_and_score(support, labels, query, 4, parse_classifier("ridge"), alpha)
    theirs = RidgeClassifier(alpha=alpha, tol=1e-12).fit(support, labels)
    np.testing.assert_allclose(ours.scores, theirs.decision_function(query), atol=1e-9)
    assert ours.residual < 1e-12


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_nearest_centroids_and_neighbours_are_the_nearest(metric):
    support, labels, query = unequal()
    means = np.stack([support[labels == c].mean(axis=0) for c in range(4)])
    if metric == "euclidean":
        closeness = -((query[:, None] - means) ** 2).sum(axis=2)
    else:
        closeness = query @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T
    ours = fit_and_score(support, labels, query, 4, parse_classifier(f"centroid:metric={metric}"), None)
    assert (ours.scores.argmax(axis=1) == closeness.argmax(axis=1)).all()
    for k in (1, 5):
        ours = fit_and_score(support, labels, query, 4, parse_classifier(f"knn:k={k}:metric={metric}"), None)
        theirs = KNeighborsClassifier(k, metric=metric).fit(support, labels)
        assert (ours.scores.argmax(axis=1) == theirs.predict(query)).all()


@pytest.mark.parametrize("name", ["logistic:C=auto", "ridge:alpha=auto"])
@pytest.mark.parametrize("shots", [1, 4])
def test_the_chosen_strength_is_the_classifiers_own_where_classes_are_equal(name, shots):
    rng = np.random.default_rng(3)
    spec = parse_classifier(name)
    episodes, n_way = 6, 3
    labels = np.repeat(np.arange(n_way), shots)
    x = rng.standard_normal((episodes, 1, 10)) + rng.standard_normal((episodes, n_way, 10))[:, labels]
    x = x + np.geomspace(0.2, 1.5, episodes)[:, None, None] * rng.standard_normal((episodes, n_way * shots, 10))
    gram = jnp.asarray(np.einsum("eid,ejd->ije", x, x), jnp.float32)
    support = Support(gram, jnp.arange(episodes, dtype=jnp.uint32), jnp.zeros(2, jnp.uint32), n_way, shots)
    theirs = np.asarray(spec.classifier.choose(support))
    ours = [fit_and_score(one, labels, one, n_way, spec, "auto").chosen for one in x]
    assert ours == theirs.tolist()
    if shots > 1:
        assert len(set(ours)) > 1


def test_classifiers_that_need_equal_classes_are_refused():
    for name in ("svm", "sgd"):
        with pytest.raises(UserError, match=f"'{name}' does not; choose from logistic, ridge, centroid and knn"):
            check_classifier(parse_classifier(name))
    check_classifier(parse_classifier("ridge:alpha=auto"))
    support, labels, query = unequal()
    with pytest.raises(UserError, match="k is 60, but there are 54 supports"):
        fit_and_score(support, labels, query, 4, parse_classifier("knn:k=60"), None)
