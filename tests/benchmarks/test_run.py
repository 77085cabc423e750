"""The suite runs end to end on a tiny grid, writes its files, and goes on where it stopped. Nothing here looks at a time."""

import dataclasses
import json
import time

import numpy as np
import pytest

import benchmarks.run
import benchmarks.suite.limits
from benchmarks.run import Suite
from benchmarks.suite import counting, one_row
from benchmarks.suite.competitors import COMPETITORS
from benchmarks.suite.figure import _panels
from benchmarks.suite.limits import Limits, measure_limits
from benchmarks.suite.ours import our_draws, our_solver
from benchmarks.suite.problem import load_problem
from benchmarks.suite.rows import (
    GRIDS,
    OURS,
    PER_EPISODE,
    Question,
    Row,
    competitors_of,
    full_grid,
    headline_grid,
    quick_grid,
)
from benchmarks.suite.table import render
from jfewshot.errors import UserError

TINY = Question("centroid", 3, 1, 3, 16, 80, 64)
MACHINE = {"cores": 2, "processor": "a processor", "device": "cpu", "date": "2026-01-01", "load_before": 0.0}


@pytest.fixture
def tiny_grid(monkeypatch):
    rows = [Row(TINY), Row(TINY, "torch features"), Row(dataclasses.replace(TINY, classifier="logistic"), "cuML")]
    monkeypatch.setitem(GRIDS, "full", lambda: rows)
    monkeypatch.setattr(benchmarks.suite.limits, "measure_limits", lambda: Limits(1e10, 1e11, 1e10, 1e9))
    return rows


def in_this_process(row, options, device, scratch, *rest):
    """What the suite measures, without a process for it."""
    return json.loads(json.dumps(one_row.measure(row, scratch, device, 1, 0.01)))


def test_a_tiny_grid_runs_writes_its_files_and_is_not_measured_again(tiny_grid, tmp_path, scratch, monkeypatch, capsys):
    pytest.importorskip("torch")
    measured = []

    def measure(row, options, device, where, *rest):
        measured.append(row)
        if row.competitor == "cuML":
            return {"skipped": "cuML needs an NVIDIA GPU"}
        return in_this_process(row, options, device, where)

    monkeypatch.setattr(benchmarks.run, "_measure", measure)
    options = Suite(device="cpu", out=tmp_path / "out", scratch=scratch, episodes=64)
    assert benchmarks.run.run(options) == 0
    assert measured == tiny_grid
    results = json.loads((options.out / "results.json").read_text())
    # In the order of the tables, `logistic` first.
    assert [row["competitor"] for row in results["rows"]] == ["cuML", OURS, "torch features"]
    skipped, alone, against = results["rows"]
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
    few = Row(dataclasses.replace(TINY, n_way=600, segments=20))
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
    # Every competitor, compiled ones included, on small stores and on stores of real size, in small and in large calls.
    for question in (Question(), Question(k_shot=5), Question(segments=300_000), Question(n_episodes=100_000)):
        beside = {row.competitor for row in rows if row.question == question}
        assert beside == {OURS, *competitors_of("logistic")}
        assert "torch Gram, episodes last, compiled" in beside
    # Keys name what is measured, and are not Python's hashes of the day.
    assert len({row.key for row in rows}) == len(rows)
    assert Row(Question()).key == Row(Question()).key != Row(Question(dim=256)).key


def test_the_headline_rows_are_rows_of_the_full_grid_and_begin_with_the_most_quoted_question():
    rows = headline_grid()
    assert len(rows) == len(set(rows))
    assert set(rows) <= set(full_grid())
    assert rows[0].question == Question()
    assert {(q.n_way, q.k_shot, q.segments) for q in (row.question for row in rows)} == {
        (5, 1, 400), (5, 5, 400), (20, 5, 400), (5, 1, 300_000), (5, 5, 300_000),
        (5, 32, 400), (5, 100, 400), (5, 200, 400), (50, 10, 400),
    }  # fmt: skip
    assert Suite(quick=True).selection == "full"
    assert {row.question.classifier for row in benchmarks.run._rows(Suite(quick=True))} == set(PER_EPISODE)


def test_calls_are_as_large_as_a_row_says_unless_the_user_or_many_supports_limit_them():
    calls = {row.question.n_episodes for row in benchmarks.run._rows(Suite(selection="headline"))}
    assert calls == {10_000, 100_000, 512, 64}
    rows = benchmarks.run._rows(Suite(selection="headline", episodes=500))
    assert {row.question.n_episodes for row in rows} == {500, 64}
    assert len(rows) == len(set(rows))


def test_the_time_of_drawing_is_added_to_a_competitors(scratch, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(one_row, "our_draws", lambda problem, evaluator: lambda: time.sleep(0.1))
    problem = load_problem(TINY, scratch)
    result = one_row.measure_against(problem, COMPETITORS["torch features"], "cpu", 2, 0.01)
    per_episode = {name: 1 / np.array(result[name]) for name in ("ours", "theirs", "theirs_solving", "drawing")}
    assert (per_episode["drawing"] >= 0.1 / TINY.n_episodes).all()
    np.testing.assert_allclose(
        per_episode["theirs"], per_episode["theirs_solving"] + per_episode["drawing"], rtol=1e-12
    )
    ratios = per_episode["theirs"] / per_episode["ours"]
    np.testing.assert_allclose(result["ratio"], np.median(ratios), rtol=1e-12)


def test_what_is_drawn_for_a_competitor_is_drawn_each_time_and_is_what_the_competitor_solves(scratch):
    problem = load_problem(TINY, scratch)
    _, evaluator = our_solver(problem)
    draw = our_draws(problem, evaluator)
    first, second = draw(), draw()
    assert first is not second
    for clips in (first, second):
        assert np.array_equal(clips[:, :, :1].reshape(64, -1), problem.support)
        assert np.array_equal(clips[:, :, 1:].reshape(64, -1), problem.query)


def test_the_tables_show_every_row_of_the_folder_and_rows_without_drawing_are_measured_again(
    tiny_grid, tmp_path, scratch, monkeypatch
):
    pytest.importorskip("torch")
    monkeypatch.setattr(benchmarks.run, "_measure", in_this_process)
    monkeypatch.setitem(GRIDS, "headline", lambda: [Row(dataclasses.replace(TINY, classifier="knn"), "scikit-learn")])
    options = Suite(device="cpu", out=tmp_path, scratch=scratch, competitors=("torch features",))
    assert benchmarks.run.run(options) == 0
    assert benchmarks.run.run(dataclasses.replace(options, selection="headline", competitors=())) == 0

    def shown():
        return [row["competitor"] for row in json.loads((tmp_path / "results.json").read_text())["rows"]]

    assert shown() == ["torch features", "scikit-learn"]
    path = tmp_path / "rows" / f"{tiny_grid[1].key}-cpu.json"
    old = json.loads(path.read_text())
    del old["drawing"]
    path.write_text(json.dumps(old))
    assert benchmarks.run.run(dataclasses.replace(options, minutes=0.0)) == 0
    assert shown() == ["scikit-learn"]
    assert benchmarks.run.run(options) == 0
    assert "drawing" in json.loads(path.read_text())


def test_a_row_that_the_time_limit_stops_is_left_for_the_next_run(tiny_grid, tmp_path, scratch, caplog):
    pytest.importorskip("torch")
    caplog.set_level("INFO", "benchmarks")
    options = Suite(device="cpu", out=tmp_path, scratch=scratch, minutes=0.02, competitors=("torch features",))
    assert benchmarks.run.run(options) == 0
    assert json.loads((tmp_path / "results.json").read_text())["rows"] == []
    assert "1 of 1 rows are left" in caplog.text


def test_chunks_have_no_more_episodes_than_there_are_and_fit_memory():
    assert one_row._chunks((128, 512, 2048), Question(n_episodes=600)) == (128, 512)
    assert one_row._chunks((128, 512), Question(n_episodes=64)) == (128,)
    # 2,000 supports: one matrix of products has 16 MB, 2,048 of them 33 GB.
    assert one_row._chunks((128, 2048), Question(k_shot=400)) == (128,)


def test_the_figure_shows_large_stores_too():
    rows = {Question(n_way=way): [{}] * 3 for way in range(2, 10)}
    large = Question(segments=300_000)
    panels = _panels({**rows, large: [{}]})
    assert len(panels) == 6
    assert large in panels


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
    text = render([row], MACHINE)
    assert "centroid, 3-way 1-shot, 3 queries, 80 x 16, 64 per call, torch Gram: only 50.0%" in text
