"""The suite runs end to end on a tiny grid, writes its files, and goes on where it stopped. Nothing here looks at a time."""

import dataclasses
import json

import numpy as np
import pytest

import benchmarks.run
import benchmarks.suite.limits
from benchmarks.run import Suite
from benchmarks.suite import counting, one_row
from benchmarks.suite.limits import Limits, measure_limits
from benchmarks.suite.problem import load_problem
from benchmarks.suite.rows import OURS, Question, Row, competitors_of, full_grid, quick_grid
from benchmarks.suite.table import render
from jfewshot.errors import UserError

TINY = Question("centroid", 3, 1, 3, 16, 80, 64)
MACHINE = {"cores": 2, "processor": "a processor", "device": "cpu", "date": "2026-01-01", "load_before": 0.0}


@pytest.fixture
def tiny_grid(monkeypatch):
    rows = [Row(TINY), Row(TINY, "torch features"), Row(dataclasses.replace(TINY, classifier="logistic"), "cuML")]
    monkeypatch.setattr(benchmarks.run, "full_grid", lambda: rows)
    monkeypatch.setattr(benchmarks.suite.limits, "measure_limits", lambda: Limits(1e10, 1e11, 1e10, 1e9))
    return rows


def in_this_process(row, options, device, scratch):
    """What the suite measures, without a process for it."""
    return json.loads(json.dumps(one_row.measure(row, scratch, device, 1, 0.01)))


def test_a_tiny_grid_runs_writes_its_files_and_is_not_measured_again(tiny_grid, tmp_path, scratch, monkeypatch, capsys):
    measured = []

    def measure(row, options, device, where):
        measured.append(row)
        if row.competitor == "cuML":
            return {"skipped": "cuML needs an NVIDIA GPU"}
        return in_this_process(row, options, device, where)

    monkeypatch.setattr(benchmarks.run, "_measure", measure)
    options = Suite(device="cpu", out=tmp_path / "out", scratch=scratch, episodes=64)
    assert benchmarks.run.run(options) == 0
    assert measured == tiny_grid
    results = json.loads((options.out / "results.json").read_text())
    assert [row["competitor"] for row in results["rows"]] == [OURS, "torch features", "cuML"]
    alone, against, skipped = results["rows"]
    assert alone["bound"] in ("memory", "inner products", "arithmetic")
    assert alone["share_of_limit"] > 0
    assert against["agreement"] > 0.99
    assert against["ratio"] > 0
    assert against["setting"]["chunk"] in (32, 128, 512)
    assert skipped["skipped"] == "cuML needs an NVIDIA GPU"
    assert (options.out / "speed.png").read_bytes().startswith(b"\x89PNG")
    text = (options.out / "table.md").read_text()
    assert "torch features" in text
    assert "cuML needs an NVIDIA GPU" in text
    assert capsys.readouterr().out == text

    # The second run finds all rows; one that was lost is measured anew.
    assert benchmarks.run.run(options) == 0
    assert measured == tiny_grid
    (options.out / "rows" / f"{tiny_grid[1].key}-cpu.json").unlink()
    # Out of time, what is there is still shown.
    assert benchmarks.run.run(dataclasses.replace(options, minutes=0.0)) == 0
    assert measured == tiny_grid
    assert len(json.loads((options.out / "results.json").read_text())["rows"]) == 2
    assert benchmarks.run.run(options) == 0
    assert measured == [*tiny_grid, tiny_grid[1]]


def test_a_row_of_its_own_process_is_the_same_row(tmp_path, scratch):
    row = Row(dataclasses.replace(TINY, classifier="knn"), "scikit-learn")
    options = Suite(device="cpu", rounds=1, seconds=0.01, out=tmp_path)
    result = benchmarks.run._measure(row, options, "cpu", scratch)
    assert result["agreement"] == 1.0
    assert len(result["theirs"]) == 1
    assert result["process_s"] > 0


def test_a_row_that_fails_or_takes_too_long_is_reported_and_does_not_end_the_run(tmp_path, scratch):
    few = Row(dataclasses.replace(TINY, n_way=300, segments=20))
    assert "exit status" in benchmarks.run._measure(few, Suite(out=tmp_path), "cpu", scratch)["failed"]
    slow = benchmarks.run._measure(Row(TINY), Suite(out=tmp_path, row_timeout_s=0.1), "cpu", scratch)
    assert "stopped after" in slow["failed"]


def test_unknown_names_and_empty_selections_are_refused():
    with pytest.raises(UserError, match="no competitor 'sklearn'; there are jfewshot, scikit-learn"):
        benchmarks.run._rows(Suite(competitors=("sklearn",)))
    with pytest.raises(UserError, match="no row is left by the options"):
        benchmarks.run._rows(Suite(quick=True, classifiers=("svm",), competitors=("cuML",)))


def test_the_full_grid_has_what_the_issue_of_speed_is_about():
    rows = full_grid()
    assert len(rows) == len(set(rows))
    assert set(quick_grid()) <= set(rows)
    alone = {
        (q.n_way, q.k_shot, q.n_query, q.dim, q.segments) for q in (r.question for r in rows if r.competitor == OURS)
    }
    for way in (5, 20):
        for shot in (1, 5, 20):
            for query in (1, 15):
                for dim in (256, 768, 1024):
                    for segments in (400, 20_000, 300_000):
                        assert (way, shot, query, dim, segments) in alone
    beside = {row.competitor for row in rows if row.question == Question()}
    assert beside == {OURS, *competitors_of("logistic")}
    # Keys name what is measured, and are not Python's hashes of the day.
    assert len({row.key for row in rows}) == len(rows)
    assert Row(Question()).key == Row(Question()).key != Row(Question(dim=256)).key


@pytest.mark.parametrize(("way", "shot", "query"), [(5, 1, 15), (20, 20, 15), (20, 5, 1)])
def test_every_store_has_clips_enough_for_its_episodes(way, shot, query):
    for segments in (400, 20_000):
        n_classes, per_class = Question("logistic", way, shot, query, segments=segments).classes
        assert n_classes >= way
        assert per_class >= shot + query


def test_operations_are_counted_as_by_hand(scratch):
    problem = load_problem(TINY, scratch)
    counted = counting.operations(problem, "precomputed", episodes=4)
    way, queries = 3, 9
    # With one shot, class sums are the products themselves, divided once by k^2 = 1 and once by k = 1; half the squared
    # length (1 per class) is taken from every score, and the best of three costs two comparisons and four selections a query.
    assert counted.slow == way * way + queries * way
    # (Some scalars besides, once for the whole block.)
    assert 0 <= counted.plain - (way + queries * way + queries * (2 + 4)) < 5
    assert counted.product == 0
    assert counted.bytes == 4 * 3 * (way * way + queries * way) + queries
    multiplied = counting.operations(problem, "streamed", episodes=4)
    assert multiplied.product == 2 * 16 * (way * way + queries * way)
    assert multiplied.bytes > 4 * 16 * (way + queries)


@pytest.mark.slow
def test_limits_are_positive():
    assert all(np.array(measure_limits()) > 0)


def test_a_failed_row_is_named_below_the_tables():
    row = {**Row(TINY, "torch Gram").identity(), "failed": "only 50.0% of predictions agree, 99% are needed"}
    assert "centroid, 3-way 1-shot, 3 queries, torch Gram: only 50.0%" in render([row], MACHINE)
