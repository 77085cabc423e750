import json

import numpy as np

from jfewshot.reporting.costs import cost_sections, costs_grid, costs_json, find_costs
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.series import all_series
from jfewshot.reporting.tidy import tidy_rows
from jfewshot.reporting.writer import Writer
from tests.reporting.synthetic import record_of


def with_cost(record, parameters, flop, rate, device="one"):
    record["upstream"]["n_parameters"] = parameters
    record["cost"] = {"flop_per_clip": flop, "clips_per_s": rate, "device": device, "threads": 1}
    return record


def boards_of(*records):
    boards = leaderboards(records)
    return boards[0], all_series(boards)[0]


def test_costs_are_averaged_over_datasets_and_fronts_need_what_is_known():
    records = [
        with_cost(record_of("good", "esc", 0.9), 2_000_000, 4e9, 10.0),
        with_cost(record_of("good", "words", 0.7), 2_000_000, 6e9, 40.0),
        with_cost(record_of("cheap", "esc", 0.6), 0, None, 100.0),
        with_cost(record_of("cheap", "words", 0.6), 0, None, 100.0),
        with_cost(record_of("poor", "esc", 0.5), 3_000_000, 9e9, 90.0),
        with_cost(record_of("poor", "words", 0.5), 3_000_000, 9e9, 90.0),
        record_of("old", "esc", 0.95),
        record_of("old", "words", 0.95),
    ]
    board, series = boards_of(*records)
    costs = find_costs(board)
    parameters, flop, rate = costs.kinds
    place = {name: board.upstreams.index(name) for name in ("good", "cheap", "poor", "old")}
    assert flop.values[place["good"]] == 5.0
    assert rate.values[place["good"]] == 16.0  # 2 clips in 1/10 s and 1/40 s
    assert np.isnan([kind.values[place["old"]] for kind in costs.kinds]).all()
    on = {kind.name: [name for name in place if kind.front[place[name]]] for kind in costs.kinds}
    assert on == {"n_parameters": ["good", "cheap"], "flop_per_clip": ["good"], "clips_per_s": ["good", "cheap"]}
    table = costs_grid(costs, series)
    row = next(row for row in table.rows if row[0].text == "old")
    assert [entry.text for entry in row[2:]] == ["–"] * 4
    (found,) = [one for one in json.loads(costs_json(costs))["encoders"] if one["upstream"] == "good"]
    assert (found["n_parameters"], found["flop_per_clip"], found["clips_per_s"]) == (2e6, 5e9, 16.0)
    assert found["on_front_of"] == ["n_parameters", "flop_per_clip", "clips_per_s"]
    rows = [row for row in tidy_rows(records) if row["upstream"] == "cheap"]
    assert {(row["n_parameters"], row["flop_per_clip"], row["cost_device"]) for row in rows} == {(0.0, None, "one")}


def test_rates_of_different_machines_are_not_compared_and_unknown_costs_are_no_section():
    board, series = boards_of(
        with_cost(record_of("a", mean=0.9), 5, 1e9, 10.0), with_cost(record_of("b", mean=0.8), 5, 1e9, 20.0, "two")
    )
    costs = find_costs(board)
    assert not costs.kinds[2].front.any()
    assert any("different machines" in note for note in costs_grid(costs, series).notes)
    assert find_costs(boards_of(record_of("a"), record_of("b"))[0]) is None


def test_the_report_has_a_figure_a_table_and_json_of_costs(tmp_path):
    _, series = boards_of(
        with_cost(record_of("alpha", mean=0.9), 5_000, None, None),
        with_cost(record_of("beta", mean=0.8), 0, None, None),
    )
    (section,) = cost_sections(Writer(tmp_path, ("svg",)), series, series.main.upstreams)
    assert (tmp_path / "figures" / "costs.svg").exists()
    table = (tmp_path / "tables" / "costs.csv").read_text(encoding="utf-8").splitlines()
    assert table[1].startswith("alpha,")
    assert table[1].endswith(",0.005,million parameters")
    assert section.title == "Accuracy against cost"
    encoders = json.loads((tmp_path / "exports" / "costs.json").read_text())["encoders"]
    assert [one["n_parameters"] for one in encoders] == [5000, 0]
    assert cost_sections(Writer(tmp_path, ("svg",)), boards_of(record_of("a"))[1], ["a"]) == []
