"""All labels at the end of a curve: named "all" in titles, tables, figures and exports, with the number of labels per class."""

import json

import pytest

from jfewshot.reporting.analysis import Analysis
from jfewshot.reporting.answer import answer_text, find_answer
from jfewshot.reporting.curves_json import curves_json
from jfewshot.reporting.exports import mteb_json
from jfewshot.reporting.labels_needed import needed_labels
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.series import across_grid, all_series, series_trend
from jfewshot.reporting.strengths import strength_advice
from jfewshot.reporting.tidy import tidy_rows
from jfewshot.reporting.trends import trends
from tests.reporting.synthetic import record_of

SHOTS = (1, 2, 4, 8, 16)
PARTS = {
    "support": {"split": None, "where": [], "part": "support"},
    "query": {"split": None, "where": [], "part": "query"},
}


@pytest.fixture
def records():
    found = []
    for number, upstream in enumerate(("alpha", "beta", "gamma")):
        for place, k in enumerate((*SHOTS, "all")):
            protocol = {"k_shot": 1, "all_labels": True} if k == "all" else {"k_shot": k}
            accuracy = {"mean": 0.4 + 0.07 * place - 0.1 * number, "std": 0.1, "ci95": 0.01, "pool_ci95": 0.03}
            record = record_of(upstream, "esc", accuracy=accuracy, **protocol, **PARTS)
            if k == "all":
                record["counts"]["labels_per_class"] = {"least": 29, "mean": 30.25, "most": 31}
            found.append(record)
    return found


def test_the_end_of_the_curve_is_called_all_labels(records):
    boards = leaderboards(records)
    (series,) = all_series(boards)
    assert series.shots == (1, 2, 4, 8, 16, float("inf"))
    last = series.boards[-1]
    assert last.title.startswith("5-way, all labels, 5 queries · logistic, C = 1")
    assert "support: the other groups · queries: 25% of each class" in last.title
    assert "Labels per class: esc 29 to 31." in last.notes
    table = across_grid([series])
    assert table.columns[1:] == ("1 shot", "2 shots", "4 shots", "8 shots", "16 shots", "all labels")
    assert "All labels per class: esc 29 to 31." in table.notes
    assert series.main.title.startswith("5-way 4-shot")


def test_figures_show_it_behind_the_largest_number_of_shots(records):
    (series,) = all_series(leaderboards(records))
    for trend in (series_trend(series), trends(records)[0]):
        assert trend.ticks == {1.0: "1", 2.0: "2", 4.0: "4", 8.0: "8", 16.0: "16", 32.0: "all"}
        assert trend.panels[0].curves[0].x == (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
    assert trends(records)[0].title.startswith("5-way, 5 queries · logistic")


def test_exports_say_all_and_how_many_labels_that_is(records):
    rows = {row["labels_per_class"]: row for row in tidy_rows(records) if row["upstream"] == "alpha"}
    assert set(rows) == {1.0, 2.0, 4.0, 8.0, 16.0, 30.25}
    assert (rows[30.25]["k_shot"], rows[30.25]["all_labels"]) == (None, True)
    assert (rows[16.0]["k_shot"], rows[16.0]["all_labels"]) == (16, False)
    names = [
        task["task_name"]
        for task in json.loads(mteb_json([r for r in records if r["upstream"]["name"] == "alpha"]))["task_results"]
    ]
    assert "esc-5way-allshot" in names
    (series,) = all_series(leaderboards(records))
    (found,) = json.loads(curves_json([series], ()))["series"]
    assert found["shots"] == [1, 2, 4, 8, 16, "all"]
    point = found["curves"]["esc"]["alpha"][-1]
    assert (point["shots"], point["labels_per_class"]["most"]) == ("all", 31)
    assert found["rank_agreement"][0]["and"] == "all"


def test_the_answer_compares_few_labels_with_all_and_extrapolates_from_numbers_alone(records):
    (series,) = all_series(leaderboards(records))
    nothing = Analysis(series.main, (), (), None, "classes", False, None, None, None, (), (), (), "classes")
    text = answer_text(find_answer(series, nothing, ()))
    assert (
        "The ranking with 1 label per class and the ranking with all labels have a Spearman correlation of 1.00" in text
    )
    assert "It also has the highest accuracy with 1, 2, 8, 16 and all labels." in text
    ninety = needed_labels(series, "alpha")[1]
    assert ninety.extrapolated
    assert ninety.labels is None or ninety.labels > 16  # all labels, an unknown number, count for nothing here


def test_advice_on_strengths_tells_all_labels_from_one_shot(records):
    edges = [
        record_of(
            "alpha",
            "esc",
            strength=strength,
            accuracy={"mean": mean, "std": 0.1, "ci95": 0.001},
            k_shot=1,
            all_labels=True,
        )
        for strength, mean in ((0.1, 0.5), (1.0, 0.6), (10.0, 0.8))
    ]
    (sentence,) = strength_advice(edges)
    assert sentence.startswith("logistic, 5-way, all labels: accuracy still rises")
