"""Scores, ranks and what hinges on one dataset, against values worked out by hand and against NumPy."""

import numpy as np
import pytest

from jfewshot.reporting.published import SUPERB_REFERENCES, superb, superb_score
from jfewshot.suite.board import left_out_grid, run_grids, standing_of
from jfewshot.suite.contribution import track_scores
from jfewshot.suite.histogram import accuracy_of, histogram_of
from jfewshot.suite.scores import hinge_sentence, scores_of, standing
from tests.suite.synthetic import contribution, small_suite


def board(score, names=None):
    score = np.asarray(score, dtype=np.float64)
    names = names or [f"encoder {row}" for row in range(len(score))]
    datasets = [f"set {column}" for column in range(score.shape[1])]
    return standing(names, datasets, score / 1000, np.full(score.shape, 0.01), score)


def test_the_score_is_superbs():
    # SUPERB's own task scores, from the anchors that it publishes.
    scores = superb()
    for column, metric in enumerate(scores.metrics):
        fbank, best = SUPERB_REFERENCES[metric]
        values = scores.values[:, column]
        ours = scores_of(values, np.full(len(values), fbank), np.full(len(values), best))
        np.testing.assert_allclose(ours, 1000 * (values - fbank) / (best - fbank), rtol=1e-12)
    assert round(superb_score(scores)[0]) == 1019


def test_chance_scores_0_and_the_upper_anchor_1000():
    suite = small_suite()
    for accuracy, score in ((1 / 3, 0.0), (0.9, 1000.0), ((1 / 3 + 0.9) / 2, 500.0)):
        found = track_scores(suite, {task.name: accuracy for task in suite.tasks})
        assert set(found) == {"paper-1", "chosen-5", "all"}
        assert all(one.score == pytest.approx(score, abs=1e-9) for one in found.values())


def test_a_histogram_says_what_its_episodes_say():
    right = np.random.default_rng(0).binomial(6, 0.4, 500)
    histogram = histogram_of(right, 6)
    assert sum(histogram) == 500
    found = accuracy_of(histogram)
    assert found.mean == pytest.approx(np.mean(right / 6), abs=1e-12)
    assert found.std == pytest.approx(np.std(right / 6), abs=1e-12)
    assert found.ci95 == pytest.approx(1.96 * np.std(right / 6) / np.sqrt(500), abs=1e-12)
    assert accuracy_of([0, 0, 7]) == (1.0, 0.0, 0.0)


def test_encoders_are_ranked_by_score_and_averages_are_over_datasets():
    one = board([[100, 300], [900, 100], [200, 400]], ["low", "high", "middle"])
    assert one.encoders == ("high", "middle", "low")
    assert one.total.tolist() == [500.0, 300.0, 200.0]
    assert one.rank.tolist() == [2.0, 1.5, 2.5]
    assert one.average_half_width == pytest.approx(np.full(3, 0.01 * np.sqrt(2) / 2))
    assert one.without.tolist() == [[100.0, 400.0, 300.0], [900.0, 200.0, 100.0]]


def test_intervals_over_datasets_are_given_from_six_datasets_on():
    rng = np.random.default_rng(0)
    assert board(rng.uniform(100, 900, (3, 5))).over_datasets is None
    score = rng.uniform(100, 900, (3, 6))
    one = board(score)
    # The same bootstrap, written out: its seed is the one of the report.
    drawn = np.random.default_rng(0).integers(6, size=(4000, 6))
    low, high = np.quantile(one.score[:, drawn].mean(axis=2), [0.025, 0.975], axis=1)
    np.testing.assert_allclose(one.over_datasets["total"], np.stack([low, high], axis=1), rtol=1e-9)


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ([[900, 500, 500], [100, 400, 400]], "does not hinge on one dataset: it stays the same"),
        ([[900, 300, 300], [100, 400, 400]], "without set 0, encoder 1 is first"),
        ([[900, 900, 900], [800, 100, 100], [50, 400, 400]], "Lower places change without set 0"),
        ([[900, 300]], "one encoder"),
        ([[900], [300]], "one dataset, set 0"),
    ],
)
def test_whether_the_ranking_hinges_on_one_dataset_is_said(score, said):
    assert said in board(score).hinge


def test_scores_that_read_the_same_do_not_turn_the_ranking():
    without = np.array([[500.0, 500.04], [500.0, 499.0]])
    assert "stays the same" in hinge_sentence(["a", "b"], ["x", "y"], np.array([500.0, 499.5]), without)


def test_a_family_has_its_own_standing():
    suite = small_suite(("birds", "words", "frogs"))
    ours = [contribution(suite, "alpha", 0.5), contribution(suite, "beta", 0.8, title="Beta")]
    whole, birds = standing_of(suite, ours, "all"), standing_of(suite, ours, "paper-1", "other sounds")
    assert whole.encoders == ("Beta (beta)", "alpha")
    assert birds.datasets == ("Birds", "Frogs")
    tasks = [ours[1].tasks[f"{name}-paper-1"].accuracy for name in ("birds", "frogs")]
    assert birds.average[0] == pytest.approx(np.mean(tasks))
    assert whole.total[0] == pytest.approx(ours[1].scores["all"].score)
    tables = list(run_grids(suite, ours))
    assert len(tables) == 4
    assert "fewer than 6 datasets" in " ".join(left_out_grid(whole).notes)
