"""What records and reports say of kept scores, against scikit-learn on the scores that were kept."""

import csv
import dataclasses

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import log_loss, top_k_accuracy_score

import jfewshot
from jfewshot.errors import UserError
from jfewshot.reporting.build import Choices, build_report
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.metrics import with_metric
from jfewshot.reporting.pairing import pair_dataset
from jfewshot.results import read_results
from tests.synthetic_stores import clip_table, make_store

WAY, QUERIES, EPISODES = 4, 5, 40
TRUE = np.tile(np.repeat(np.arange(WAY), QUERIES), EPISODES)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scored")
    stores = [
        make_store(folder / name, clip_table((12,) * 6), upstream=name, seed=seed) for seed, name in enumerate("ab")
    ]
    sizes = {"ways": WAY, "shots": 2, "n_query": QUERIES, "n_episodes": EPISODES}
    jfewshot.evaluate(stores, classifiers="centroid", out=folder / "results", keep="scores", **sizes)
    return read_results(folder / "results")


def log_p_of(scores, factor):
    return log_softmax(scores.log_probability.astype(np.float64) * factor, axis=2).reshape(-1, WAY)


def test_records_have_scikit_learns_numbers_of_the_kept_scores(results):
    assert not results.problems
    for record in results.records:
        scores, found = results.scores(record), record["calibration"]
        factors = {"nll": 1.0, "nll_uncalibrated": scores.temperature[:, None, None]}
        for name, factor in factors.items():
            log_p = log_p_of(scores, factor)
            assert found[name]["mean"] == pytest.approx(log_loss(TRUE, np.exp(log_p)), rel=1e-6)
            of_class = -log_p[np.arange(len(TRUE)), TRUE].reshape(EPISODES, -1).mean(1)
            assert found[name]["ci95"] == pytest.approx(1.96 * of_class.std() / EPISODES**0.5)
            assert found[name]["pool_ci95"] > found[name]["pool_ci95_classes_fixed"] > 0
        assert found["nll"]["mean"] != found["nll_uncalibrated"]["mean"]
        for k in (2, 3):
            expected = top_k_accuracy_score(TRUE, log_p_of(scores, 1.0), k=k)
            assert record["metrics"][f"top_{k}_accuracy"]["mean"] == pytest.approx(expected, abs=0.005)  # ties
        assert "top_5_accuracy" not in record["metrics"]
        # All are answered at the end, and the areas lie between the best and the worst of the risks.
        risks = [one["risk"] for one in found["risk"]]
        assert risks[-1] == pytest.approx(1 - record["accuracy"]["mean"], abs=1e-6)
        assert min(risks) < found["aurc"]["mean"] < max(risks)
        bins = found["reliability"]
        assert sum(one["share"] for one in bins) == pytest.approx(1, abs=1e-5)
        error = sum(one["share"] * abs(one["accuracy"] - one["confidence"]) for one in bins)
        assert found["ece"]["mean"] == pytest.approx(error, abs=1e-4)


def test_the_report_shows_them_in_a_table_a_chart_and_an_export(results, tmp_path):
    build_report(results, tmp_path, Choices(formats=("svg",)), "Scores")
    table = (tmp_path / "tables" / "calibration.csv").read_text("utf-8")
    with (tmp_path / "exports" / "cells.csv").open(encoding="utf-8") as file:
        rows = {row["key"]: row for row in csv.DictReader(file)}
    for record in results.records:
        nll = record["calibration"]["nll"]
        assert f"{nll['mean']:.3f} ± {nll['pool_ci95']:.3f}" in table
        row = rows[record["key"]]
        assert float(row["nll"]) == nll["mean"]
        assert float(row["ece_pool_ci95"]) == record["calibration"]["ece"]["pool_ci95"]
        assert float(row["top_2_accuracy"]) == record["metrics"]["top_2_accuracy"]["mean"]
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "How far probabilities can be trusted" in page
    assert "answered queries, the surest first (%)" in page
    assert (tmp_path / "figures" / "coverage-1.svg").exists()


def test_a_report_can_be_about_top_k_accuracy(results):
    shown = with_metric(results.records, "top_2_accuracy")
    assert [one["accuracy"] for one in shown] == [one["metrics"]["top_2_accuracy"] for one in results.records]
    with pytest.raises(UserError, match=r"no result has the metric top_5_accuracy: .* --keep scores"):
        with_metric(results.records, "top_5_accuracy")


def test_pairs_of_upstreams_are_compared_by_top_k_accuracy_from_their_scores(results):
    shown = dataclasses.replace(results, records=tuple(with_metric(results.records, "top_2_accuracy")))
    (board,) = leaderboards(shown.records, "both")
    problems: list[str] = []
    paired = pair_dataset(shown, board, 0, (0, 1), problems)
    assert not problems
    np.testing.assert_allclose(paired.covariance.mean, board.mean[:, 0])
