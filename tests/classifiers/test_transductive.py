"""Transductive classifiers against independent implementations in float64, on the same embeddings."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.semi_supervised import LabelSpreading

from jfewshot.classifiers import TIM, TRANSDUCTIVE, AlphaTIM, LaplacianShot, Propagation, Sinkhorn
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.classifiers.transductive import Queries
from jfewshot.errors import UserError
from tests.classifiers.problems import as_problem, episodes, margins, store_mean

SHAPES = [(5, 1, "centred"), (3, 4, "large norm")]
N_QUERY, N_EPISODES = 6, 5
# With the settings of the comparisons below, so that all tests share compiled code.
HEADS = (
    Propagation(alpha=0.9, gamma=3.0),
    Sinkhorn(sharpness=5.0, rate=0.3),
    TIM(sharpness=4.0, support_weight=0.2, entropy_weight=0.15),
    AlphaTIM(sharpness=4.0, alpha=2.5, support_weight=0.8, rate=0.7),
    LaplacianShot(sharpness=3.0, smoothness=0.4, neighbours=2),
)
PROPAGATION, SINKHORN, TIM_HEAD, ALPHA_TIM, LAPLACIAN = HEADS
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


def probabilities(x, centroids, scale):
    """Softmax over the classes of minus scale times the squared distance."""
    logits = -scale * ((x[:, None] - centroids) ** 2).sum(-1)
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def alternating_directions(support, query, n_way, sharpness, support_weight, entropy_weight):
    """TIM-ADM by proposition 1 and equation 8 of the paper."""
    scale = sharpness / spread_of(np.concatenate([support, query]))
    y = np.repeat(np.eye(n_way), len(support) // n_way, 0)
    w = y.T @ support / y.sum(0)[:, None]
    ratio = len(support) / len(query)
    share = support_weight / (1 + entropy_weight)
    for _ in range(150):
        p_s, p_q = probabilities(support, w, scale), probabilities(query, w, scale)
        q = p_q ** (1 + entropy_weight) / np.sqrt((p_q ** (1 + entropy_weight)).sum(0))
        q /= q.sum(1, keepdims=True)
        top = np.zeros_like(w)
        for k in range(n_way):
            top[k] += share * (y[:, k] @ support + p_s[:, k] @ (w[k] - support))
            top[k] += ratio * (q[:, k] @ query + p_q[:, k] @ (w[k] - query))
        w = top / (share * y.sum(0) + ratio * q.sum(0))[:, None]
    return p_q


def alpha_loss(w, support, query, y, scale, alpha, support_weight):
    """Alpha-TIM's loss, with Shannon's cross-entropy on the supports."""
    p_q = probabilities(query, w, scale)
    entropy = (1 - (p_q.mean(0) ** alpha).sum()) / (alpha - 1)
    conditional = ((1 - (p_q**alpha).sum(1)) / (alpha - 1)).mean()
    fit = -np.log((probabilities(support, w, scale) * y).sum(1)).mean()
    return support_weight * fit - entropy + conditional


def alpha_gradient(w, support, query, y, scale, alpha, support_weight):
    """Of `alpha_loss` with respect to the centroids."""
    p_s, p_q = probabilities(support, w, scale), probabilities(query, w, scale)
    by_p = alpha / (alpha - 1) * (p_q.mean(0) ** (alpha - 1) - p_q ** (alpha - 1)) / len(query)
    by_logit_q = p_q * (by_p - (p_q * by_p).sum(1, keepdims=True))
    by_logit_s = support_weight * (p_s - y) / len(support)
    x, by_logit = np.concatenate([support, query]), np.concatenate([by_logit_s, by_logit_q])
    return 2 * scale * (by_logit[:, :, None] * (x[:, None] - w)).sum(0)


def descent(support, query, n_way, sharpness, alpha, support_weight, rate):
    """Gradient descent on `alpha_loss`, each centroid's step divided by 2 scale and by its share of the points."""
    scale = sharpness / spread_of(np.concatenate([support, query]))
    y = np.repeat(np.eye(n_way), len(support) // n_way, 0)
    w = y.T @ support / y.sum(0)[:, None]
    for _ in range(150):
        p = probabilities(query, w, scale)
        length = rate / (2 * scale * (support_weight / n_way + p.mean(0)))
        w = w - length[:, None] * alpha_gradient(w, support, query, y, scale, alpha, support_weight)
    return p


def bound_updates(support, query, n_way, sharpness, smoothness, neighbours):
    """LaplacianShot's, from the nearest neighbours of each query among the others."""
    scale = sharpness / spread_of(np.concatenate([support, query]))
    unary = scale * ((query[:, None] - support.reshape(n_way, -1, support.shape[1]).mean(1)) ** 2).sum(-1)
    distance = ((query[:, None] - query) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    near = distance.argsort(1)[:, :neighbours]
    y = softmax(-unary, axis=1)
    for _ in range(100):
        y = softmax(-unary + smoothness * y[near].sum(1), axis=1)
    return y


@pytest.mark.parametrize("left_out", LEFT_OUT.values(), ids=LEFT_OUT)
@pytest.mark.parametrize(("n_way", "k_shot", "regime"), SHAPES)
def test_propagation_spreads_labels_as_scikit_learn_does(n_way, k_shot, regime, left_out):
    support, query = episodes(n_way, k_shot, N_QUERY, regime, n_episodes=N_EPISODES, dim=24)
    ours, diagnostics = scores_of(PROPAGATION, support, query, n_way, left_out)
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
    ours, diagnostics = scores_of(SINKHORN, support, query, n_way, left_out)
    reference = np.stack(
        [balanced_assignments(s, q[: ours.shape[1]], n_way, 5.0, 0.3) for s, q in zip(support, query, strict=True)]
    )
    np.testing.assert_allclose(ours, reference, atol=1e-3)
    np.testing.assert_allclose(ours.sum(1), ours.shape[1] / n_way, rtol=Sinkhorn.tolerance)
    assert float(diagnostics.residual.max()) <= Sinkhorn.tolerance


@pytest.mark.parametrize(
    ("classifier", "reference", "atol"),
    [(TIM_HEAD, alternating_directions, 3e-3), (ALPHA_TIM, descent, 3e-3), (LAPLACIAN, bound_updates, 1e-3)],
    ids=["tim", "alpha_tim", "laplacian_shot"],
)
@pytest.mark.parametrize("left_out", LEFT_OUT.values(), ids=LEFT_OUT)
@pytest.mark.parametrize(("n_way", "k_shot", "regime"), SHAPES)
def test_probabilities_are_those_of_the_papers_equations_on_the_embeddings(
    n_way, k_shot, regime, left_out, classifier, reference, atol
):
    support, query = episodes(n_way, k_shot, N_QUERY, regime, n_episodes=N_EPISODES, dim=24)
    ours, diagnostics = scores_of(classifier, support, query, n_way, left_out)
    settings = dataclasses.asdict(classifier)
    pairs = zip(support, query, strict=True)
    expected = np.stack([reference(s, q[: ours.shape[1]], n_way, **settings) for s, q in pairs])
    np.testing.assert_allclose(ours, expected, atol=atol)
    assert float(diagnostics.residual.max()) <= classifier.tolerance
    # Neither all the same nor all certain, so that the comparison says something.
    assert expected.std() > 0.05
    assert (expected.max(-1) < 0.99).any()


def test_the_gradient_of_the_reference_is_that_of_the_papers_loss():
    rng = np.random.default_rng(0)
    support, query, w = rng.normal(size=(4, 3)), rng.normal(size=(7, 3)), rng.normal(size=(2, 3))
    arguments = support, query, np.repeat(np.eye(2), 2, 0), 0.3, 2.5, 0.8
    direction = rng.normal(size=w.shape)
    up, down = (alpha_loss(w + sign * 1e-5 * direction, *arguments) for sign in (1, -1))
    slope = (alpha_gradient(w, *arguments) * direction).sum()
    assert (up - down) / 2e-5 == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("classifier", HEADS)
def test_the_order_of_the_queries_changes_nothing(classifier):
    support, query = episodes(5, 1, N_QUERY, "centred", n_episodes=N_EPISODES, dim=24)
    order = np.random.default_rng(0).permutation(query.shape[1])
    one, _ = scores_of(classifier, support, query, 5, 0)
    other, _ = scores_of(classifier, support, query[:, order], 5, 0)
    np.testing.assert_allclose(one[:, order], other, atol=1e-3)


@pytest.mark.parametrize("classifier", HEADS)
def test_points_that_are_all_the_same_give_finite_scores(classifier):
    support, query = np.ones((N_EPISODES, 5, 4)), np.ones((N_EPISODES, 5 * N_QUERY, 4))
    scores, _ = scores_of(classifier, support, query, 5, 0)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", TRANSDUCTIVE)
def test_every_transductive_classifier_is_marked(name):
    assert parse_classifier(name).identity()["transductive"] is True


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
        ("alpha_tim:alpha=1", "alpha is 1; it must be above 1"),
        ("laplacian_shot:neighbours=0", "neighbours is '0'; it must be a whole number"),
        ("sinkhorn:rate=2", "rate is 2; it must be at most 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(text, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_classifier(text)
