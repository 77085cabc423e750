"""Kept scores: log-probabilities and temperatures against scikit-learn in float64, and that the plain way is unchanged."""

import jax
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import NearestCentroid

import jfewshot
from jfewshot.classifiers.calibration import TEMPERATURE
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.errors import UserError
from jfewshot.evaluator import solver_programs, solving
from jfewshot.evaluator.devices import episode_mesh
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.results import read_results
from tests.synthetic_stores import clip_table, embeddings, make_store

WAY, SHOTS, QUERIES, EPISODES = 3, 3, 4, 6
TABLE = clip_table((12,) * 5)
LONG = clip_table((12,) * 5, n_segments=lambda clip: 1 + clip % 2)


@pytest.fixture(scope="module")
def evaluator():
    return Evaluator()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store") / "one", TABLE)


@pytest.fixture(scope="module")
def evaluate(store, evaluator):
    def call(classifier, shots=SHOTS, at=store, **settings):
        settings = {"keep": "scores", "n_episodes": EPISODES, "n_query": QUERIES} | settings
        return jfewshot.evaluate(at, classifiers=classifier, ways=WAY, shots=shots, evaluator=evaluator, **settings)[0]

    return call


def scores_by(name, x, y, points):
    """Decision values of scikit-learn's classifier, or of the nearest mean, in float64."""
    if name == "centroid":
        means = NearestCentroid().fit(x, y).centroids_
        return points @ means.T - 0.5 * (means**2).sum(1)
    model = RidgeClassifier(alpha=1.0) if name == "ridge" else LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000)
    return model.fit(x, y).decision_function(points)


def margin(scores, y):
    own = scores[np.arange(len(y)), y]
    return (own - (scores.sum(1) - own) / (WAY - 1)).mean()


def reference(name, support, query, shots):
    """The logits and the factor without calibration of an episode, from its embeddings, one support of each class left out."""
    y = np.repeat(np.arange(WAY), shots)
    unit = margin(scores_by(name, support, y, support), y)
    octave = 0.0
    if shots > 1:
        missed = []
        for shot in range(shots):
            left = np.arange(WAY) * shots + shot
            rest = np.setdiff1d(np.arange(len(y)), left)
            own = margin(scores_by(name, support[rest], y[rest], support[rest]), y[rest])
            missed.append(scores_by(name, support[rest], y[rest], support[left]) / (TEMPERATURE * own))
        right = np.tile(np.arange(WAY), shots)
        octaves = np.arange(-16, 17) / 4
        losses = [
            -log_softmax(2.0**g * np.concatenate(missed), axis=1)[np.arange(len(right)), right].sum() + g**2 / 2
            for g in octaves
        ]
        octave = octaves[int(np.argmin(losses))]
    sharpness = 2.0**octave / (TEMPERATURE * unit)
    own = 1.0 if name == "logistic" else 1 / (TEMPERATURE * unit)
    return scores_by(name, support, y, query) * sharpness, own / sharpness


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "shots"),
    [
        ("centroid", 3),
        *(pytest.param(name, k, marks=SLOW) for name, k in (("ridge", 3), ("logistic", 3), ("logistic", 1))),
    ],
)
def test_log_probabilities_and_temperatures_are_scikit_learns(evaluate, name, shots, tmp_path):
    record = evaluate(name, shots, out=tmp_path)
    results = read_results(tmp_path)
    found, clips = results.scores(record), results.draws(record)["clips"].astype(int)
    x = embeddings(TABLE).astype(np.float64)[TABLE.first_segment]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x -= x.mean(
        0
    )  # the evaluator's origin; these classifiers do not depend on it, but for a number added to all of centroid's
    for episode in range(EPISODES):
        rows = clips[episode]
        logits, temperature = reference(name, x[rows[:, :shots].ravel()], x[rows[:, shots:].ravel()], shots)
        expected = log_softmax(logits, axis=1)
        # Half precision: 2^-11 of the value; and float32's solution beside float64's.
        np.testing.assert_allclose(found.log_probability[episode], expected, rtol=2.0**-11, atol=2e-3)
        np.testing.assert_allclose(found.temperature[episode], temperature, rtol=2e-3)
        if name != "centroid":
            normaliser = (logits - expected)[:, 0]
            np.testing.assert_allclose(found.normaliser[episode], normaliser, rtol=2.0**-11, atol=5e-3)


@pytest.mark.parametrize(
    "name",
    [
        "knn:k=5",
        *(
            pytest.param(name, marks=SLOW)
            for name in ("sinkhorn", "ridge:alpha=auto", "svm:C=1,10", "sgd:epochs=3", "ridge:kernel=rbf")
        ),
    ],
)
def test_predictions_are_those_of_a_run_that_keeps_none(evaluate, name):
    kept, plain = (evaluate(name, keep=keep) for keep in ("scores", "predictions"))
    np.testing.assert_array_equal(kept["predicted"], plain["predicted"])
    assert "scores" not in plain
    best = kept["scores"].log_probability.argmax(2)
    assert (best == kept["predicted"]).mean() > 0.97  # but for ties in half precision
    if name == "knn:k=5":
        assert (kept["scores"].temperature != 1).any()
    if name == "sinkhorn":
        np.testing.assert_array_equal(kept["scores"].temperature, 1)
        np.testing.assert_allclose(kept["scores"].normaliser, 0, atol=1e-3)  # an assignment's rows sum to 1


def test_more_neighbours_than_left_in_supports_leave_the_fixed_temperature(evaluate):
    np.testing.assert_array_equal(evaluate("knn:k=7")["scores"].temperature, 1)


def test_a_vote_of_segments_has_no_scores(evaluate, tmp_path):
    store = make_store(tmp_path / "long", LONG)
    with pytest.raises(UserError, match=r"birds: clips have up to 2 segments, and a vote .* --query-segments mean"):
        evaluate("ridge", at=store)


@SLOW
def test_the_scores_of_segments_are_averaged(evaluate, tmp_path):
    store = make_store(tmp_path / "long", LONG)
    mean, plain = (evaluate("ridge", at=store, keep=keep, query_segments="mean") for keep in ("scores", "predictions"))
    np.testing.assert_array_equal(mean["predicted"], plain["predicted"])
    one = evaluate("ridge", at=store, query_segments="one")
    assert (one["predicted"] != mean["predicted"]).any()
    assert (mean["scores"].log_probability.argmax(2) == mean["predicted"]).mean() > 0.97


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"shots": "all", "n_query": 3}, "--shots all"),
        ({"n_query": "all"}, "--n-query all"),
        ({"query_balance": "dirichlet:2"}, "--query-bal"),
    ],
)
def test_what_has_no_scores_is_refused_in_a_line(evaluate, settings, name):
    with pytest.raises(UserError, match=rf"--keep scores needs equally many .* leave out {name}"):
        evaluate("ridge", **settings)


def test_the_plain_way_asks_for_nothing_more(evaluate, monkeypatch):
    asked = []
    make = solving.jit_solve
    monkeypatch.setattr(
        solving, "jit_solve", lambda *given, **more: asked.append((given, more)) or make(*given, **more)
    )
    evaluate("centroid", keep="predictions")
    ((given, more),) = asked
    assert more == {"want_model": True}  # as before scores could be kept
    assert given[-1] is False
    evaluate("centroid")
    assert asked[-1][1] == {"want_model": True, "calibrate": True}


def test_the_plain_program_returns_predictions_and_no_scores():
    mesh, ridge = episode_mesh(jax.devices()[:1]), parse_classifier("ridge").classifier
    shape = jax.ShapeDtypeStruct
    blocks = shape((2, 9, 9, 16), np.float32), shape((2, 12, 9, 16), np.float32), shape((2, 16), np.uint32)
    arguments = *blocks, shape((2,), np.uint32), shape((1,), np.float32)
    plain = jax.eval_shape(solver_programs.jit_solve(mesh, ridge, 3, 3, False), *arguments)
    assert [(x.shape, x.dtype) for x in plain] == [((2, 1, 12, 16), np.int8), *[((2, 1, 16), np.float32)] * 3]
    kept = jax.eval_shape(solver_programs.jit_solve(mesh, ridge, 3, 3, True, calibrate=True), *arguments)
    assert kept[0].shape == (2, 1, 12, 3, 16)
    assert [x.shape for x in kept[4:]] == [(2, 1, 16)] * 2
