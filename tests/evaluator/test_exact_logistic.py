"""Logistic regression in float64 against scikit-learn at tol 1e-10: equal probabilities of queries, on hard and easy problems."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from jfewshot.evaluator.exact_logistic import TOLERANCE, coefficients_of, factor_of, fit_exactly


def problems(n_classes, dim, scale, count=3, seed=0):
    """Supports of 8 clips per class, of the first class 3, with a common part, and queries."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_classes), 8)[5:]
    centres = rng.standard_normal((count, n_classes, dim))
    some = [c[labels] + rng.standard_normal((len(labels), dim)) for c in centres]
    queries = [c[rng.integers(0, n_classes, 50)] + rng.standard_normal((50, dim)) for c in centres]
    common = 3 * rng.standard_normal(dim)
    return labels, scale * (np.stack(some) + common), scale * (np.stack(queries) + common)


# Fewer dimensions than supports, more, large norms (nearly separable classes in few dimensions), and small ones.
@threadpool_limits.wrap(limits=1)
@pytest.mark.parametrize(
    ("n_classes", "dim", "scale"), [(2, 4, 3.0), (2, 60, 1.0), (5, 6, 10.0), (5, 100, 2.0), (5, 10, 0.05)]
)
def test_probabilities_are_scikit_learns(n_classes, dim, scale):
    labels, support, query = problems(n_classes, dim, scale)
    origin = support.mean(axis=1, keepdims=True)
    support, query = support - origin, query - origin
    penalty = 2.0 if n_classes == 2 else 1.0
    found = fit_exactly(support, np.tile(labels, (3, 1)), n_classes, penalty)
    assert (found.residual <= TOLERANCE).all()
    assert (found.steps > 0).all()
    scores = query @ found.weights + found.bias[:, None]
    if dim > len(labels):
        factor = factor_of(support @ support.swapaxes(1, 2))
        of_factor = fit_exactly(factor, np.tile(labels, (3, 1)), n_classes, penalty)
        weights = support.swapaxes(1, 2) @ coefficients_of(factor, of_factor.weights)
        again = query @ weights + of_factor.bias[:, None]
        # What all classes have in common changes nothing, and is not determined.
        np.testing.assert_allclose(*(s - s.mean(axis=2, keepdims=True) for s in (again, scores)), atol=1e-7)
    for x, y, own in zip(support, query, scores, strict=True):
        theirs = LogisticRegression(solver="newton-cg", tol=1e-10, max_iter=10_000).fit(x, labels)
        e = np.exp(own - own.max(axis=1, keepdims=True))
        # Newton's method of scikit-learn leaves 1e-10 of the mean gradient, which moves scores by some 1e-7.
        np.testing.assert_allclose(e / e.sum(axis=1, keepdims=True), theirs.predict_proba(y), atol=1e-6)
        assert (own.argmax(axis=1) == theirs.predict(y)).all()


def test_problems_do_not_depend_on_their_company():
    labels, support, _ = problems(4, 9, 5.0, count=2)
    support = support - support.mean(axis=1, keepdims=True)
    support[1] *= 0.01  # an easy one, which ends early
    together = fit_exactly(support, np.tile(labels, (2, 1)), 4, 1.0)
    for number in range(2):
        alone = fit_exactly(support[[number]], labels[None], 4, 1.0)
        np.testing.assert_allclose(together.weights[number], alone.weights[0], atol=1e-8)
    assert together.steps[1] < together.steps[0]
