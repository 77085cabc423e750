"""What the report says of a number fits how the number was made."""

import numpy as np
import pytest
from scipy import special, stats

from jfewshot.errors import UserError
from jfewshot.reporting.analysis import analyse, pairs_grid
from jfewshot.reporting.build import Choices, build_report
from jfewshot.reporting.outside import OutsideTable, correlate_board, matched_rows
from jfewshot.reporting.tables import leaderboard
from jfewshot.results import read_results
from tests.reporting.synthetic import record_of, write_results


def analysis_of(path, **choices):
    n_classes = choices.pop("n_classes", 8)
    upstreams = {"alpha": 1.0, "beta": 1.3}
    results = read_results(write_results(path, upstreams, ["esc", "words"], n_episodes=150, n_classes=n_classes))
    return analyse(results, leaderboard(results.records), [], **choices)


def words_of(analysis):
    return " ".join(pairs_grid(analysis).notes)


def test_no_permutation_is_claimed_where_every_class_is_in_every_episode(tmp_path):
    analysis = analysis_of(tmp_path, n_classes=5, permutation=True)
    assert not analysis.permuted
    words = words_of(analysis)
    assert "sign-flip" not in words
    assert "No permutation over classes, since there are too few classes: esc, words." in words
    assert "normal distribution" in words
    assert "clips and classes" not in words


def test_a_permutation_that_was_made_is_said(tmp_path):
    analysis = analysis_of(tmp_path, permutation=True)
    assert analysis.permuted
    assert "p by sign-flip permutation over classes" in words_of(analysis)
    assert "its p by Student's t" in words_of(analysis)  # wins and losses are per dataset, and not permuted


def test_intervals_over_clips_are_called_so_and_are_normal(tmp_path):
    analysis = analysis_of(tmp_path, pool="clips")
    words = words_of(analysis)
    assert "Student" not in words
    assert "number of clips, for these classes alone" in words
    overall = analysis.overall
    z = np.abs(overall.difference[0, 1]) / (overall.half_width[0, 1] / stats.norm.ppf(0.975))
    assert overall.p_value[0, 1] == pytest.approx(2 * stats.norm.sf(z))
    over_classes = analysis_of(tmp_path / "classes")
    assert "Student's t" in words_of(over_classes)
    assert "number of clips and classes" in words_of(over_classes)


def test_p_over_classes_beside_intervals_over_clips_is_refused(tmp_path):
    with pytest.raises(UserError, match="--pool clips holds the classes fixed"):
        analysis_of(tmp_path / "results", pool="clips", permutation=True)
    results = read_results(tmp_path / "results")
    with pytest.raises(UserError, match="Leave out one"):
        build_report(results, tmp_path / "out", Choices(pool="clips", permutation=True), "x")
    assert not (tmp_path / "out").exists()


def test_views_and_revisions_of_one_upstream_are_one_observation(tmp_path):
    names = {"a": 0.9, "b": 0.7, "c": 0.6, "d": 0.3}
    records = [
        record_of(name, "esc", mean - 0.05 * number, view=view, revision=revision)
        for name, mean in names.items()
        for number, (view, revision) in enumerate((("last.mean", "1"), ("0.mean", "1"), ("last.mean", "2")))
    ]
    table = OutsideTable("outside", ("a", "b", "c", "d"), ("score",), np.array([[4.0], [1.0], [2.0], [3.0]]))
    found, upstreams, accuracy, _ = correlate_board(leaderboard(records), table)
    assert found.n.tolist() == [[4]]
    assert accuracy[:, 0].tolist() == list(names.values())  # the best row of each
    assert [name.split()[0] for name in upstreams] == list(names)
    expected = stats.spearmanr(list(names.values()), table.values[:, 0])[0]
    assert found.coefficient[0, 0] == pytest.approx(expected)
    assert len(matched_rows(leaderboard(records), table)[2]) == 8
    # Three upstreams are too few, however many views of them there are.
    assert correlate_board(leaderboard([r for r in records if r["upstream"]["name"] != "d"]), table) is None


def test_superb_counts_upstreams_too_and_says_what_it_leaves_out(tmp_path):
    upstreams = {"HuBERT Base": 0.5, "wav2vec 2.0 Base": 0.7, "WavLM Base": 0.9, "APC": 1.2}
    folder = write_results(tmp_path / "results", upstreams, ["esc"], views=("0.mean", "last.mean"), n_episodes=50)
    build_report(read_results(folder), tmp_path / "out", Choices(formats=("svg",), figures_at_most=1), "x")
    text = (tmp_path / "out" / "tables" / "board-1-SUPERB-correlations.txt").read_text(encoding="utf-8")
    assert "intervals over 4 upstreams" in " ".join(text.split())
    assert text.count("(0.mean)") == 4


def test_p_of_permutations_are_adjusted_by_holm(tmp_path):
    upstreams = {"alpha": 0.9, "beta": 1.1, "gamma": 1.4}
    results = read_results(write_results(tmp_path, upstreams, ["esc"], n_episodes=150))
    overall = analyse(results, leaderboard(results.records), [], permutation=True).overall
    rows, columns = np.triu_indices(3, 1)
    pairs = sorted(zip(overall.p_value[rows, columns], overall.p_holm[rows, columns], strict=True))
    least = 0.0
    for number, (p_value, p_holm) in enumerate(pairs):  # Holm (1979), one after the other
        least = max(least, min(p_value * (3 - number), 1.0))
        assert p_holm == pytest.approx(least)
    assert pairs[0][0] < pairs[0][1]


def test_logits_of_error_rates_keep_their_sign():
    records = [record_of(name, "esc", mean) for name, mean in (("a", 0.9), ("b", 0.7), ("c", 0.6), ("d", 0.3))]
    rates, shares, others = [0.1, 0.4, 0.2, 0.7], [0.9, 0.5, 0.6, 0.2], [10.0, 40.0, 20.0, 70.0]
    table = OutsideTable(
        "outside", tuple("abcd"), ("wer", "map", "x"), np.column_stack([-np.array(rates), shares, others])
    )
    found = correlate_board(leaderboard(records), table, "pearson", with_logit=True)[0]
    accuracy = special.logit([0.9, 0.7, 0.6, 0.3])
    columns = (-special.logit(rates), special.logit(shares), others)
    expected = [stats.pearsonr(accuracy, column).statistic for column in columns]
    np.testing.assert_allclose(found.coefficient[0], expected)
