"""Transductive classifiers against independent implementations in float64, on the same embeddings."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.semi_supervised import LabelSpreading

from jfewshot.classifiers import Propagation, Sinkhorn
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.classifiers.transductive import Queries
from jfewshot.errors import UserError
from tests.classifiers.problems import as_problem, episodes, margins, store_mean

SHAPES = [(5, 1, "centred"), (3, 4, "large norm")]
N_QUERY, N_EPISODES = 6, 5
LEFT_OUT = {"whole": 0, "filled up": 3}  # places at the end of the last class that hold no query


@functools.partial(jax.jit, static_argnums=0)
def solve(classifier, support, queries):
    return classifier.solve(support, queries, jnp.float32(1.0))


def scores_of(classifier, support, query, n_way, left_out):
    """Scores [episodes, queries, n_way], from float32 inner products about a mean, and diagnostics."""
    origin = store_mean(support, query)
    problem, gram_qs = as_problem(support, query, n_way, origin)
    q = (query - origin).astype(np.float32)
    gram_qq = np.einsum("eid,ejd->ije", q, q)
    counts = np.ones(gram_qq.shape[1:], np.float32)
    counts[len(counts) - left_out :] = 0
    scores, diagnostics = solve(classifier, problem, Queries(gram_qs, jnp.asarray(gram_qq), jnp.asarray(counts)))
    return np.moveaxis(np.asarray(scores), -1, 0)[:, : len(counts) - left_out], diagnostics


def spread_of(x):
    return ((x - x.mean(0)) ** 2).sum(1).mean()


def spread_labels(support, query, n_way, alpha, gamma):
    """scikit-learn's, iterated to the end."""
    x = np.concatenate([support, query])
    labels = np.concatenate([np.repeat(np.arange(n_way), len(support) // n_way), np.full(len(query), -1)])
    model = LabelSpreading(gamma=gamma / spread_of(x), alpha=alpha, max_iter=10_000, tol=1e-14).fit(x, labels)
    return model.label_distributions_[len(support) :]


def balanced_assignments(support, query, n_way, sharpness, rate):
    """Centroids and Sinkhorn's iteration on the embeddings themselves, in float64."""
    k_shot, each = len(support) // n_way, len(query) / n_way
    scale = sharpness / spread_of(np.concatenate([support, query]))
    means = support.reshape(n_way, k_shot, -1).mean(1)
    sums = k_shot * means

    def assign(centroids):
        u, v = np.zeros(len(query)), np.zeros(n_way)
        cost = -scale * ((query[:, None] - centroids) ** 2).sum(-1)
        for _ in range(31):
            u = -np.log(np.exp(cost + v).sum(1))
            last = np.exp(cost + u[:, None] + v)
            v = np.log(each) - np.log(np.exp(cost + u[:, None]).sum(0))
        return last

    centroids = means
    for _ in range(20):
        p = assign(centroids)
        centroids = centroids + rate * ((sums + p.T @ query) / (k_shot + p.sum(0))[:, None] - centroids)
    return assign(centroids)


@pytest.mark.parametrize("left_out", LEFT_OUT.values(), ids=LEFT_OUT)
@pytest.mark.parametrize(("n_way", "k_shot", "regime"), SHAPES)
def test_propagation_spreads_labels_as_scikit_learn_does(n_way, k_shot, regime, left_out):
    support, query = episodes(n_way, k_shot, N_QUERY, regime, n_episodes=N_EPISODES, dim=24)
    ours, diagnostics = scores_of(Propagation(alpha=0.9, gamma=3.0), support, query, n_way, left_out)
    reference = np.stack(
        [spread_labels(s, q[: ours.shape[1]], n_way, 0.9, 3.0) for s, q in zip(support, query, strict=True)]
    )
    np.testing.assert_allclose(ours / ours.sum(-1, keepdims=True), reference, atol=1e-4)
    assert float(diagnostics.residual.max()) <= Propagation.tolerance
    clear = margins(reference) > 1e-3
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(ours.argmax(-1)[clear], reference.argmax(-1)[clear])


@pytest.mark.parametrize("left_out", LEFT_OUT.values(), ids=LEFT_OUT)
@pytest.mark.parametrize(("n_way", "k_shot", "regime"), SHAPES)
def test_sinkhorn_assigns_queries_as_on_the_embeddings_themselves(n_way, k_shot, regime, left_out):
    support, query = episodes(n_way, k_shot, N_QUERY, regime, n_episodes=N_EPISODES, dim=24)
    ours, diagnostics = scores_of(Sinkhorn(sharpness=5.0, rate=0.3), support, query, n_way, left_out)
    reference = np.stack(
        [balanced_assignments(s, q[: ours.shape[1]], n_way, 5.0, 0.3) for s, q in zip(support, query, strict=True)]
    )
    np.testing.assert_allclose(ours, reference, atol=1e-3)
    np.testing.assert_allclose(ours.sum(1), ours.shape[1] / n_way, rtol=Sinkhorn.tolerance)
    assert float(diagnostics.residual.max()) <= Sinkhorn.tolerance


@pytest.mark.parametrize("classifier", [Propagation(), Sinkhorn()])
def test_the_order_of_the_queries_changes_nothing(classifier):
    support, query = episodes(4, 2, N_QUERY, "centred", n_episodes=N_EPISODES, dim=24)
    order = np.random.default_rng(0).permutation(query.shape[1])
    one, _ = scores_of(classifier, support, query, 4, 0)
    other, _ = scores_of(classifier, support, query[:, order], 4, 0)
    np.testing.assert_allclose(one[:, order], other, atol=1e-5)


@pytest.mark.parametrize("classifier", [Propagation(), Sinkhorn()])
def test_points_that_are_all_the_same_give_finite_scores(classifier):
    support, query = np.ones((2, 6, 4)), np.ones((2, 9, 4))
    scores, _ = scores_of(classifier, support, query, 3, 0)
    assert np.isfinite(scores).all()


def test_a_transductive_classifier_says_so_in_its_identity():
    assert parse_classifier("propagation:alpha=0.6").identity() == {
        "name": "propagation",
        "alpha": 0.6,
        "gamma": Propagation.gamma,
        "transductive": True,
    }
    assert "transductive" not in parse_classifier("logistic").identity()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("propagation:alpha=1", "alpha is 1; it must be between 0 and 1"),
        ("sinkhorn:kernel=rbf", "has no setting 'kernel'; it has sharpness, rate"),
        ("sinkhorn:rate=2", "rate is 2; it must be at most 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(text, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_classifier(text)
