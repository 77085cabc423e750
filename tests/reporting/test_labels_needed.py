"""Labels per class in the report: read off where the curve reaches the target, extrapolated where it has points enough."""

import json

import numpy as np
from scipy import special

from jfewshot.reporting.curves_json import curves_json
from jfewshot.reporting.labels_needed import needed_grid, needed_grid_of_datasets, needed_labels, needed_words
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.series import all_series
from jfewshot.statistics import Needed
from tests.reporting.synthetic import record_of

SHOTS = (1, 2, 4, 8, 16)
SLOPES = {"fast": 0.6, "slow": 0.4, "guess": 0.0}


def series_of(shots=SHOTS, datasets=("esc", "words")):
    records = []
    for upstream, slope in SLOPES.items():
        for dataset in datasets:
            for k in shots:
                level = -0.84 if upstream == "guess" else -0.2
                mean = float(special.ndtr(level + slope * np.log(k)))
                accuracy = {"mean": mean, "std": 0.1, "ci95": 0.004, "pool_ci95": 0.02, "pool_ci95_classes_fixed": 0.01}
                records.append(record_of(upstream, dataset, k_shot=k, accuracy=accuracy))
    (series,) = all_series(leaderboards(records))
    return series


def test_a_target_beyond_the_curve_is_extrapolated_and_one_within_is_read_off():
    series = series_of()
    eighty, ninety, most = needed_labels(series, "fast")
    assert not eighty.extrapolated
    assert eighty.labels == int(np.ceil(np.exp((special.ndtri(0.8) + 0.2) / 0.6)))
    assert not ninety.extrapolated  # 16 shots have 0.93
    assert most.extrapolated
    assert abs(most.labels - np.exp((special.ndtri(0.95) + 0.2) / 0.6)) <= 3
    assert 16 <= most.low < most.labels < most.high
    slow = needed_labels(series, "slow")[1]
    true = np.exp((special.ndtri(0.9) + 0.2) / 0.4)
    assert slow.low < true < slow.high
    assert needed_words(slow, series.shots).startswith(f"about {slow.labels} (")
    assert needed_words(slow, series.shots).endswith("), extrapolated")


def test_a_curve_at_chance_and_one_of_four_points_are_not_extrapolated():
    assert not any(one.extrapolated for one in needed_labels(series_of(), "guess"))
    short = series_of(SHOTS[:4])
    assert not any(one.extrapolated for one in needed_labels(short, "slow"))
    assert needed_words(needed_labels(short, "slow")[2], short.shots) == "not reached with 8"
    assert needed_labels(series_of(SHOTS[:1]), "slow") == ()


def test_the_tables_and_the_json_say_the_same():
    series = series_of()
    on_average = needed_grid(series)
    assert [row[0].text for row in on_average.rows] == list(series.main.upstreams)
    per_dataset = needed_grid_of_datasets(series)
    assert per_dataset.columns == ("Upstream", "esc", "words")
    slow = next(row for row in per_dataset.rows if row[0].text == "slow")
    one = needed_labels(series, "slow", "words")[1]
    assert slow[2].text == needed_words(one, series.shots)
    (found,) = json.loads(curves_json([series], ()))["series"]
    written = next(
        item
        for item in found["labels_needed"]
        if (item["upstream"], item["dataset"], item["target"]) == ("slow", "words", 0.9)
    )
    assert (written["labels"], written["low"], written["high"], written["extrapolated"]) == (*one[1:4], True)
    assert needed_grid_of_datasets(series_of(datasets=("esc",))) is None


def test_words_for_what_even_ten_times_as_many_labels_do_not_reach():
    shots = (1, 2, 5, 10, 20)
    assert needed_words(Needed(0.9, None, None, None, True), shots) == "more than 200, extrapolated"
    assert needed_words(Needed(0.9, None, 90, None, True), shots) == "more than 200 (90 to more than 200), extrapolated"
    assert needed_words(Needed(0.9, 5, 3, None), shots) == "5 (3 to more than 20)"
