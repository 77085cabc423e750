"""Fusions on the run: the sum of the parts' inner products is that of the scaled concatenation, in float64."""

import functools

import jax
import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.protocol import Protocol
from jfewshot.evaluator import gram
from jfewshot.evaluator.chosen_weights import mixtures
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.evaluator.parts import FusedTransform
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.store.fused import FusedView
from tests.evaluator.test_evaluator import plain_loop
from tests.synthetic_stores import clip_table, embeddings

PROTOCOL = Protocol(n_way=3, k_shot=2, n_query=3, n_episodes=64)
SHARES = (0.7, 0.3)
TABLE = clip_table((7,) * 5, n_segments=lambda clip: 1 + clip % 2)
# The second part's rows lie in another order.
ORDER = np.random.default_rng(4).permutation(TABLE.n_rows)
DIMS = (6, 9)
L2 = Transform("l2", unit_length=True)
CENTRED = Transform("center_l2", mean=np.full(6, 0.3, np.float32), unit_length=True, statistics_from="train")


def read_only(x):
    x.flags.writeable = False
    return x


ONE = read_only(embeddings(TABLE, DIMS[0], spread=2.0, seed=1))
TWO = embeddings(TABLE, DIMS[1], spread=1.5, seed=2, offset=1.0)
THEIRS = np.empty_like(TWO)
THEIRS[ORDER] = TWO
THEIRS = read_only(THEIRS)


def view(shares):
    return FusedView((ONE, THEIRS), (None, ORDER), shares)


def transform(shares, first=L2):
    return FusedTransform((first, L2), DIMS, shares)


def concatenated(weights, first=L2):
    """The parts' embeddings in float64: each of unit length, times the root of its weight, then all of unit length."""
    parts = [np.asarray(x, np.float64) for x in (ONE, TWO)]
    parts[0] = parts[0] - (0.0 if first.mean is None else first.mean.astype(np.float64))
    parts = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in parts]
    both = np.concatenate([np.sqrt(weight) * x for weight, x in zip(weights, parts, strict=True)], 1)
    return both / np.linalg.norm(both, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def evaluator():
    return Evaluator(jax.devices()[:2], block=32)


def solve(evaluator, shares, classifier="ridge:alpha=1", protocol=PROTOCOL, first=L2):
    of_parts = transform(shares, first)
    (solved,) = evaluator.evaluate(view(shares), TABLE, of_parts, protocol, [parse_classifier(classifier)])
    return solved


def fit_ridge(support):
    n_way, k_shot, dim = support.shape
    labels = np.repeat(np.arange(n_way), k_shot)
    return RidgeClassifier(alpha=1.0).fit(support.reshape(-1, dim), labels).decision_function


def agrees(predicted, expected, margins):
    sure = margins > 1e-4
    assert sure.mean() > 0.95
    np.testing.assert_array_equal(predicted[sure], expected[sure])


@pytest.mark.parametrize("kind", ["precomputed", "sums of parts"])
@pytest.mark.parametrize("first", [L2, CENTRED], ids=["l2", "center_l2"])
def test_fixed_weights_predict_what_the_scaled_concatenation_predicts(evaluator, monkeypatch, kind, first):
    if kind == "sums of parts":
        monkeypatch.setattr(gram, "_PRECOMPUTE_SHARE", 0)
        # Numba would take 10 s to compile the loops of embeddings that lie in memory.
        monkeypatch.setattr(gram, "_fused_products", lambda: None)
    evaluator.forget_sources()
    solved = solve(evaluator, SHARES, first=first)
    assert solved.gram_kind == kind
    expected, margins = plain_loop(
        concatenated(SHARES, first), TABLE, evaluator.draw(TABLE, PROTOCOL), PROTOCOL, fit_ridge
    )
    agrees(solved.predicted, expected, margins)


def test_a_fusion_s_rows_are_the_scaled_concatenation():
    rows = np.array([3, 0, 8, 8])
    found = transform(SHARES, CENTRED)(view(SHARES)[rows])
    # float32 rounds numbers of at most 1.
    np.testing.assert_allclose(found, concatenated(SHARES, CENTRED)[rows], atol=1e-6)


def left_out_weights(support, labels):
    """The weights of one episode by fitting without each support, one after the other: no closed form, float64."""
    targets = np.eye(labels.max() + 1)[labels]
    misfits = []
    for weights in mixtures(2).astype(np.float64):
        x = np.concatenate([np.sqrt(w) * part for w, part in zip(weights, support, strict=True)], 1)
        n = len(x)
        penalty = 0.2 * ((x - x.mean(0)) ** 2).sum() / n
        miss = []
        for out in range(n):
            kept = np.arange(n) != out
            centre, mean = x[kept].mean(0), targets[kept].mean(0)
            a, y = x[kept] - centre, targets[kept] - mean
            w = np.linalg.solve(a.T @ a + penalty * np.eye(x.shape[1]), a.T @ y)
            miss.append(targets[out] - mean - (x[out] - centre) @ w)
        misfits.append(0.5 * n * np.log(np.mean(np.square(miss))))
    likelihood = np.exp(np.min(misfits) - np.array(misfits))
    return (likelihood / likelihood.sum()) @ mixtures(2)


@pytest.fixture(scope="module")
def chosen(evaluator):
    return solve(evaluator, None)


def test_chosen_weights_are_those_of_leaving_each_support_out(evaluator, chosen):
    drawn = evaluator.draw(TABLE, PROTOCOL)
    parts = [np.asarray(x, np.float64) for x in (ONE, TWO)]
    parts = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in parts]
    labels = np.repeat(np.arange(3), 2)
    for episode in range(20):
        clips = drawn.clips[episode, :, :2].astype(int)
        segment = drawn.segment[episode, :, :2]
        rows = (TABLE.first_segment[clips] + (segment * TABLE.n_segments[clips]).astype(int)).ravel()
        expected = left_out_weights([part[rows] for part in parts], labels)
        # Three decimals: the likelihood is a power of misses that float32 knows to 1e-6.
        np.testing.assert_allclose(chosen.weights[episode], expected, atol=1e-3)


@pytest.mark.parametrize("classifier", ["ridge:alpha=1", "ridge:alpha=1:kernel=rbf"])
def test_with_chosen_weights_each_episode_is_one_of_its_own_concatenation(evaluator, chosen, classifier):
    solved = solve(evaluator, None, classifier)
    assert chosen.weights.std(0).min() > 0.05
    np.testing.assert_allclose(chosen.weights.sum(1), 1, atol=1e-6)
    # The episodes whose weights are nearest to a given pair, against that pair given.
    episode = 5
    given = tuple(float(weight) for weight in chosen.weights[episode])
    fixed = solve(evaluator, given, classifier)
    np.testing.assert_array_equal(solved.predicted[episode], fixed.predicted[episode])
    differ = (solved.predicted != fixed.predicted).any(1)
    assert differ.any()


def test_at_one_shot_chosen_weights_are_equal_ones(evaluator):
    protocol = Protocol(n_way=3, k_shot=1, n_query=3, n_episodes=64)
    by_shares = functools.partial(solve, evaluator, protocol=protocol)
    np.testing.assert_array_equal(by_shares(None).predicted, by_shares((0.5, 0.5)).predicted)


def test_swapped_parts_have_swapped_weights(evaluator, chosen):
    parts = FusedView((TWO, ONE), (None, None), None)
    (swapped,) = evaluator.evaluate(
        parts, TABLE, FusedTransform((L2, L2), DIMS[::-1], None), PROTOCOL, [parse_classifier("ridge:alpha=1")]
    )
    np.testing.assert_allclose(swapped.weights, chosen.weights[:, ::-1], atol=1e-3)
