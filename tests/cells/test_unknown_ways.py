"""Queries of classes without supports: who they are, how they are told apart, and what is refused."""

import csv

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestCentroid

import jfewshot
from jfewshot.cells.scored import confidences
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.reporting.build import Choices, build_report
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.metrics import with_metric
from jfewshot.results import read_results
from tests.synthetic_stores import clip_table, embeddings, make_store

WAY, UNKNOWN, SHOTS, QUERIES, EPISODES = 3, 2, 2, 4, 25
TABLE = clip_table((12,) * 7)
SIZES = {"ways": WAY, "shots": SHOTS, "n_query": QUERIES, "n_episodes": EPISODES}
LABELS = np.repeat([1, 0], [WAY * QUERIES, UNKNOWN * QUERIES])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store") / "one", TABLE)


@pytest.fixture(scope="module")
def results(store, tmp_path_factory):
    out, evaluator = tmp_path_factory.mktemp("unknown"), Evaluator()
    settings = {"classifiers": "centroid", "out": out, "keep": "scores", "evaluator": evaluator, **SIZES}
    jfewshot.evaluate(store, unknown_ways=UNKNOWN, **settings)
    jfewshot.evaluate(store, **settings)
    return read_results(out)


@pytest.fixture(scope="module")
def both(results):
    """The record with unknown classes, and the one without."""
    return sorted(results.records, key=lambda record: "open_set" not in record)


def test_the_other_queries_and_their_predictions_are_those_of_episodes_without_unknown_classes(results, both):
    assert not results.problems
    draws, plain = (results.draws(record) for record in both)
    np.testing.assert_array_equal(draws["clips"], plain["clips"])
    np.testing.assert_array_equal(results.predictions(both[0]), results.predictions(both[1]))
    assert both[0]["accuracy"] == both[1]["accuracy"]
    assert both[0]["calibration"]["nll"] == both[1]["calibration"]["nll"]
    assert both[0]["key"] != both[1]["key"]
    # Unknown queries are clips of other classes than the supports'.
    of_clip = draws["class"]
    for known, unknown in zip(of_clip[draws["clips"]], of_clip[draws["unknown"]], strict=True):
        assert unknown.shape == (UNKNOWN, QUERIES)
        assert len(set(unknown.ravel())) == UNKNOWN
        assert not set(unknown.ravel()) & set(known.ravel())


def test_unknown_queries_have_the_scores_of_the_nearest_mean(results, both):
    record, (x, rows) = both[0], (embeddings(TABLE).astype(np.float64)[TABLE.first_segment], results.draws(both[0]))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x -= x.mean(0)
    scores = results.scores(record)
    assert scores.log_probability.shape == (EPISODES, (WAY + UNKNOWN) * QUERIES, WAY)
    for episode in range(EPISODES):
        support = x[rows["clips"][episode, :, :SHOTS].reshape(-1).astype(int)]
        query = x[rows["unknown"][episode].ravel().astype(int)]
        means = NearestCentroid().fit(support, np.repeat(np.arange(WAY), SHOTS)).centroids_
        expected = query @ means.T - 0.5 * (means**2).sum(1)
        found = scores.log_probability[episode, WAY * QUERIES :].astype(np.float64)
        # Log-probabilities are scores times a positive number of the episode, less a number of the query.
        expected -= expected.mean(1, keepdims=True)
        found -= found.mean(1, keepdims=True)
        slope = (expected * found).sum() / (expected**2).sum()
        assert slope > 0
        np.testing.assert_allclose(found, slope * expected, atol=0.02)


def test_areas_and_false_positives_are_those_of_scikit_learn_and_of_a_loop(results, both):
    said = both[0]["open_set"]
    assert said["unknown_ways"] == UNKNOWN
    for name, confidence in confidences(results.scores(both[0])).items():
        area = np.mean([roc_auc_score(LABELS, one) for one in confidence])
        assert said["auroc"][name]["mean"] == pytest.approx(area)
        assert said["auroc"][name]["pool_ci95"] > said["auroc"][name]["pool_ci95_classes_fixed"] > 0
        known = np.sort(confidence[:, : WAY * QUERIES], axis=1)
        # All 12 of 12 known queries have to be accepted for 95%.
        false = (confidence[:, WAY * QUERIES :] >= known[:, :1]).mean()
        assert said["fpr95"][name]["mean"] == pytest.approx(false)
        assert said["fpr95"][name]["pool_ci95_classes_fixed"] is None
    assert both[0]["metrics"]["auroc"] == said["auroc"]["probability"]
    first_two = np.sort(results.scores(both[0]).log_probability.astype(float), 2)[:, :, -2:]
    np.testing.assert_allclose(confidences(results.scores(both[0]))["margin"], first_two[:, :, 1] - first_two[:, :, 0])


def test_results_with_unknown_classes_have_a_table_of_their_own(results, both, tmp_path):
    titles = [board.title for board in leaderboards(results.records)]
    assert len(titles) == 2
    assert sum("and of 2 unknown classes" in title for title in titles) == 1
    assert with_metric(results.records, "auroc")[0]["accuracy"] == both[0]["metrics"]["auroc"]
    with pytest.raises(UserError, match=r"no result has the metric auroc: .* --unknown-ways 5"):
        with_metric(both[1:], "auroc")
    build_report(results, tmp_path, Choices(formats=("svg",)), "Unknown")
    table = (tmp_path / "tables" / "unknown-classes.csv").read_text("utf-8")
    area = both[0]["open_set"]["auroc"]["energy"]
    assert f"{100 * area['mean']:.1f} ± {100 * area['pool_ci95']:.1f}" in table
    with (tmp_path / "exports" / "cells.csv").open(encoding="utf-8") as file:
        rows = {row["key"]: row for row in csv.DictReader(file)}
    assert float(rows[both[0]["key"]]["auroc_energy"]) == area["mean"]
    assert rows[both[1]["key"]]["auroc_energy"] == ""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"unknown_ways": 5},
            r"birds has 7 classes; 3-way with 5 unknown classes needs 8\. Lower --ways or --unknown-ways",
        ),
        ({"unknown_ways": 1, "query_balance": "dirichlet:2"}, r"unknown_ways needs numbers"),
        ({"unknown_ways": 1, "ways": "all"}, r"unknown_ways needs numbers"),
        ({"unknown_ways": -1}, r"unknown_ways is -1; it must be at least 0"),
        ({"unknown_ways": 1, "classifiers": "sinkhorn"}, r"'sinkhorn' shares all queries out .* not transductive"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(store, settings, message):
    with pytest.raises(UserError, match=message):
        jfewshot.evaluate(store, **({"classifiers": "centroid", **SIZES} | settings))


def test_unknown_classes_whose_queries_do_not_divide_evenly(store):
    """Three known classes and one unknown one with 4 queries each: 16 queries in no three equal parts."""
    records = [jfewshot.evaluate(store, classifiers="centroid", unknown_ways=unknown, **SIZES)[0] for unknown in (0, 1)]
    np.testing.assert_array_equal(records[0]["predicted"], records[1]["predicted"])
    assert records[1]["open_set"]["unknown_ways"] == 1
