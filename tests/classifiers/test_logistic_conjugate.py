"""Logistic regression by nonlinear conjugate gradients, against scikit-learn in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from jfewshot.classifiers import logistic_conjugate


def _solved(x: np.ndarray, n_way: int, k_shot: int, c: float, filled_up: int = 0, most: int = 40):
    n = n_way * k_shot
    x = x - x.mean(0)
    gram = np.zeros((n + filled_up, n + filled_up), np.float32)
    gram[:n, :n] = x @ x.T
    inside = np.arange(n + filled_up) < n
    target = tuple(jnp.float32((np.arange(n + filled_up) // k_shot == k) & inside) for k in range(n_way))
    penalty = jnp.float32((2.0 if n_way == 2 else 1.0) / c)
    return jax.jit(logistic_conjugate.solve, static_argnums=(3, 5, 6))(
        gram, target, jnp.float32(inside), n, penalty, 1e-5, most
    )


@pytest.mark.parametrize(("n_way", "k_shot", "c"), [(5, 1, 1.0), (3, 4, 10.0), (2, 3, 1.0)])
def test_it_finds_what_scikit_learn_finds_in_float64(n_way, k_shot, c):
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(n_way), k_shot)
    x = rng.standard_normal((n_way, 8))[labels] + rng.standard_normal((len(labels), 8))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    found = _solved(x, n_way, k_shot, c, filled_up=3)
    assert float(found.residual) <= 1e-4
    alpha, bias = np.stack(found.alpha)[:, : len(labels)], np.asarray(found.bias)
    assert not np.stack(found.alpha)[:, len(labels) :].any()
    theirs = LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(x, labels)
    queries = rng.standard_normal((20, 8))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    ours = queries @ (x - x.mean(0)).T @ alpha.T + bias - x.mean(0) @ (x - x.mean(0)).T @ alpha.T
    expected = theirs.decision_function(queries)
    if n_way == 2:
        ours = ours[:, 1] - ours[:, 0]
    else:
        ours, expected = (scores - scores.mean(1, keepdims=True) for scores in (ours, expected))
    # The residual of 1e-5 moves scores of order one by about as much.
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_what_does_not_converge_says_so():
    x = 30.0 * np.random.default_rng(0).standard_normal((15, 20))
    found = _solved(x, 5, 3, 100.0, most=4)
    assert not float(found.residual) <= 1e-4
    assert int(found.products) <= 4
