"""`auto` through the evaluator, records and tables."""

import statistics

import numpy as np

import jfewshot
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.strengths import chosen_strengths
from jfewshot.reporting.tidy import tidy_rows
from jfewshot.results import read_results
from tests.synthetic_stores import clip_table, make_store

OPTIONS = {"shots": 2, "n_query": 2, "n_episodes": 150, "preprocessing": "none"}


def test_each_episode_is_predicted_as_by_the_strength_that_it_chose(tmp_path):
    store = make_store(tmp_path / "s")
    records = jfewshot.evaluate(store, classifiers="ridge:alpha=0.1,1,10,100,auto", **OPTIONS)
    automatic = records[-1]
    assert automatic["identity"]["strength"] == {"name": "alpha", "value": "auto", "grid": 1}
    assert all("chosen" not in record for record in records[:-1])
    counts = {item["value"]: item["episodes"] for item in automatic["chosen"]}
    assert sum(counts.values()) == 150
    assert len(counts) == 10
    fixed = {record["identity"]["strength"]["value"]: record["predicted"] for record in records[:-1]}
    used = {value for value, episodes in counts.items() if episodes}
    assert used <= set(fixed)
    assert len(used) > 1
    same = np.array([(automatic["predicted"] == predicted).all(1) for predicted in fixed.values()])
    assert same.any(0).mean() > 0.99
    for value, predicted in fixed.items():
        assert (automatic["predicted"] == predicted).all(1).sum() >= counts[value] - 1


def test_queries_of_several_segments_are_decided_by_the_chosen_models(tmp_path):
    table = clip_table(n_segments=lambda clip: 1 + clip % 3)
    store = make_store(tmp_path / "s", table)
    (automatic,) = jfewshot.evaluate(store, classifiers="ridge:alpha=auto", query_segments="mean", **OPTIONS)
    values = [item["value"] for item in automatic["chosen"] if item["episodes"]]
    text = ",".join(f"{value:g}" for value in values)
    fixed = jfewshot.evaluate(store, classifiers=f"ridge:alpha={text}", query_segments="mean", **OPTIONS)
    same = np.array([(automatic["predicted"] == record["predicted"]).all(1) for record in fixed])
    assert same.any(0).mean() > 0.98


def test_a_record_is_found_again_and_the_report_and_the_exports_show_the_choice(tmp_path, monkeypatch):
    store = make_store(tmp_path / "s")
    first = jfewshot.evaluate(store, classifiers="ridge:alpha=1,auto", out=tmp_path / "r", **OPTIONS)
    monkeypatch.setattr(Evaluator, "evaluate", None)  # nothing is left to compute
    again = jfewshot.evaluate(store, classifiers="ridge:alpha=1,auto", out=tmp_path / "r", **OPTIONS)
    assert [record["chosen"] for record in again if "chosen" in record] == [first[1]["chosen"]]
    records = read_results(tmp_path / "r").records
    assert sorted(board.title.split(" · ")[1] for board in leaderboards(records)) == [
        "ridge, alpha = 1",
        "ridge, alpha = auto",
    ]
    table = chosen_strengths(records)
    shares = table.rows[0][-1].text
    assert len(table.rows) == 1
    most = max(first[1]["chosen"], key=lambda item: item["episodes"])
    assert f"{most['value']:g} ({100 * most['episodes'] / 150:.0f}%)" in shares
    rows = {row["strength_value"]: row for row in tidy_rows(records)}
    assert rows[1.0]["strength_median"] is None
    chosen = [item["value"] for item in first[1]["chosen"] for _ in range(item["episodes"])]
    assert rows[None]["strength_median"] == statistics.median_low(chosen)
