import csv
import json
import re
import shutil
import sys

import numpy as np
import pytest
from scipy.stats import norm

from jfewshot import report
from jfewshot.errors import UserError
from jfewshot.reporting.analysis import analyse, pairs_grid, ranks_grid
from jfewshot.reporting.build import Choices, boards_that_fit, build_report
from jfewshot.reporting.chosen import chosen_grid, one_pooling_grid
from jfewshot.reporting.compare import compare_folders
from jfewshot.reporting.conditions import Conditions, condition_key
from jfewshot.reporting.outside import OutsideTable, beside_published, correlate_board, read_outside_table
from jfewshot.reporting.pairing import classes_of_clips, pair_dataset
from jfewshot.reporting.tables import leaderboard, leaderboards
from jfewshot.reporting.trends import trends
from jfewshot.results import ResultFolder, read_results
from jfewshot.statistics import correct_from_predicted
from tests.reporting.synthetic import record_of, write_results
from tests.results.packed import block_file, change, keys, line_file

UPSTREAMS = {"alpha": 0.3, "βήτα": 0.8, "gamma": 2.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("results"), UPSTREAMS, ["esc", "words"], shots=(1, 5))


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["report", *map(str, arguments)])
    return report.main()


def test_a_report_is_whole(folder, tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, folder, "--out", tmp_path / "out", "--formats", "png", "svg") == 0
    shown = capsys.readouterr().out
    assert "with 5 labels per class" in shown
    assert "5 shots" in shown
    out = tmp_path / "out"
    page = (out / "index.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 3e6
    assert "βήτα" in page
    # Nothing is fetched: no element names an address outside of the page.
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', re.sub(r"<script>.*?</script>", "", page, flags=re.S))
    assert {path.name for path in (out / "tables").glob("board-1*")} >= {
        *(f"board-1.{ending}" for ending in ("txt", "md", "tex", "csv", "json")),
        "board-1-pairs.md",
        "board-1-ranks.tex",
    }
    drawn = {path.name for path in (out / "figures").iterdir()}
    assert {
        "board-1-bars.png",
        "board-2-esc-confusion.svg",
        "board-2-episodes.png",
        "shots-1.svg",
        "speed.png",
    } <= drawn
    assert (out / "exports" / "cells.csv").exists()


def test_the_same_results_give_the_same_report(folder, tmp_path):
    for name in ("a", "b"):
        build_report(read_results(folder), tmp_path / name, Choices(formats=("svg",)), "Twice")
    first, second = (sorted(p for p in (tmp_path / name).rglob("*") if p.is_file()) for name in ("a", "b"))
    assert [p.name for p in first] == [p.name for p in second]
    for one, other in zip(first, second, strict=True):
        if one.suffix != ".parquet":
            assert one.read_bytes() == other.read_bytes(), one.name  # Parquet files name the writer's version


def test_means_are_recomputed_from_the_predictions_and_pairs_use_the_same_episodes(folder):
    results = read_results(folder)
    board = leaderboards(results.records)[0]
    problems = []
    one = pair_dataset(results, board, 0, range(3), problems)
    assert problems == []
    np.testing.assert_allclose(one.covariance.mean, board.mean[:, 0])
    np.testing.assert_allclose(one.histogram.sum(axis=1), 400)
    # The pool's interval of the record is the one of the covariance.
    record = board.cells[0, 0]
    variance = one.covariance.episodes[0, 0] + one.covariance.clips[0, 0]
    assert record["accuracy"]["pool_ci95_classes_fixed"] == pytest.approx(1.96 * np.sqrt(variance))
    analysis = analyse(results, board, problems)
    table = pairs_grid(analysis)
    assert [row[0].text for row in table.rows] == ["alpha", "alpha", "βήτα"]
    assert ranks_grid(analysis).rows[0][2].text == "1.00"
    assert analyse(results, board, problems, permutation=True).permuted


def test_one_upstream_with_a_dataset_more_does_not_end_the_comparison(tmp_path):
    write_results(tmp_path, UPSTREAMS, ["esc", "words"], n_episodes=60)
    results = read_results(write_results(tmp_path, {"gamma": 2.5}, ["birds"], n_episodes=60))
    analysis = analyse(results, leaderboard(results.records), [])
    assert len(analysis.compared) == 3
    assert any("for want of predictions or clips: birds" in note for note in analysis.notes)


def test_confusion_counts_by_hand(tmp_path):
    results = read_results(write_results(tmp_path, {"alpha": 1.0}, ["esc"], n_episodes=60, n_classes=6))
    board = leaderboard(results.records)
    one = pair_dataset(results, board, 0, [0], [])
    record, draws = results.records[0], results.draws(results.records[0])
    predicted = results.predictions(record)
    names = draws["class"][draws["clips"][:, :, 0]]
    given = of_both = 0
    for episode in range(60):
        slots = names[episode].tolist()
        if one.class_names[0] in slots and one.class_names[1] in slots:
            own, other = slots.index(one.class_names[0]), slots.index(one.class_names[1])
            of_both += 5
            given += (predicted[episode, 5 * own : 5 * own + 5] == other).sum()
    assert one.confusion[0, 1] == pytest.approx(given / of_both)
    right = correct_from_predicted(predicted, 5).reshape(60, 5, 5)
    assert one.class_accuracy[0, 0] == pytest.approx(right[names == one.class_names[0]].mean())


def test_a_damaged_record_and_damaged_predictions_are_named_and_the_rest_is_reported(tmp_path, monkeypatch, caplog):
    folder = write_results(tmp_path / "results", UPSTREAMS, ["esc", "words"])
    change(folder, keys(folder)[0], lambda line: line[:100] + b"\n")
    (second, *_) = read_results(folder).records
    data = bytearray(block_file(folder).read_bytes())
    data[second["predictions"]["offset"] + 20] ^= 1
    block_file(folder).write_bytes(data)
    made = build_report(read_results(folder), tmp_path / "out", Choices(formats=("svg",)), "Damaged")
    boards, problems = made.boards, list(made.problems)
    assert len(boards[0].cells) == 5
    assert any(f"{line_file(folder).name}, line " in problem for problem in problems)
    assert any(f"those that record {second['key']} describes" in problem for problem in problems)
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "2 files could not be used" in page
    assert line_file(folder).name in page


@pytest.mark.parametrize(
    ("upstreams", "datasets", "options"),
    [
        ({"alpha": 0.5}, ["esc"], {}),  # one of each
        ({"alpha": 0.5, "beta": 0.5}, ["esc"], {"n_classes": 5}),  # as many classes as ways
        (
            {"alpha": 0.5, "beta": 0.6},
            ["esc", "words"],
            {"n_query": 1, "n_per_class": 2, "n_classes": 5},
        ),  # no pool to tell
    ],
)
def test_small_results_are_reported(tmp_path, upstreams, datasets, options):
    folder = write_results(tmp_path / "results", upstreams, datasets, n_episodes=50, **options)
    made = build_report(read_results(folder), tmp_path / "out", Choices(formats=("svg",)), "Small")
    boards, problems = made.boards, list(made.problems)
    assert problems == []
    assert boards[0].mean.shape == (len(upstreams), len(datasets))


def test_counts_give_the_numbers_that_predictions_give_but_no_confusion_matrix(tmp_path):
    whole, counts = (
        read_results(write_results(tmp_path / keep, UPSTREAMS, ["esc", "words"], keep=keep))
        for keep in ("predictions", "counts")
    )
    boards = [leaderboards(results.records)[0] for results in (whole, counts)]
    np.testing.assert_array_equal(boards[0].mean, boards[1].mean)
    one, other = (pair_dataset(r, b, 0, range(3), []) for r, b in zip((whole, counts), boards, strict=True))
    for name in ("class_accuracy", "pseudo_values", "histogram"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), atol=1e-12)
    for name in ("mean", "episodes", "classes"):
        np.testing.assert_allclose(getattr(other.covariance, name), getattr(one.covariance, name), atol=1e-12)
    assert other.covariance.clips is None
    assert other.confusion is None
    for pool in ("classes", "clips"):
        problems = list(build_report(counts, tmp_path / pool, Choices(formats=("svg",), pool=pool), "Counts").problems)
        assert problems == []
    names = {path.name for path in (tmp_path / "classes" / "figures").iterdir()}
    assert any("classes" in name for name in names)
    assert not any("confusion" in name for name in names)
    assert compare_folders(whole, counts).moves[0].p_value == 1.0


def test_ties_and_missing_cells_are_reported(tmp_path):
    folder = write_results(tmp_path / "results", UPSTREAMS, ["esc", "words", "birds"], n_episodes=50)
    results = read_results(folder)
    twin = next(r for r in results.records if r["upstream"]["name"] == "alpha" and r["dataset"]["name"] == "esc")
    other = json.loads(json.dumps(twin))
    other["upstream"]["name"], other["identity"]["embeddings"] = "twin", "0" * 64
    own = {k: v for k, v in other.items() if k not in ("format", "format_version", "key", "predictions")}
    ResultFolder(folder).write_cell(own, results.predictions(twin))
    made = build_report(read_results(folder), tmp_path / "out", Choices(formats=("svg",)), "Ties")
    boards, problems = made.boards, list(made.problems)
    assert problems == []
    assert boards[0].mean.shape == (4, 3)
    assert "–" in (tmp_path / "out" / "tables" / "board-1.md").read_text(encoding="utf-8")


def test_curves_over_shots_ways_and_layers_are_found(tmp_path):
    views = ("0.mean", "1.mean", "2.mean", "last.mean")
    folder = write_results(
        tmp_path, {"alpha": 0.5, "beta": 1.0}, ["esc"], shots=(1, 2), ways=(2, 5), views=views, n_episodes=60
    )
    found = trends(read_results(folder).records)
    by_name = {}
    for trend in found:
        by_name.setdefault(trend.name, []).append(trend)
    assert {name: len(each) for name, each in by_name.items()} == {"shots": 2, "ways": 2, "layers": 4}
    layers = by_name["layers"][0]
    assert list(layers.ticks.values()) == ["0", "1", "2", "last"]
    best = layers.panels[0].curves[0]
    assert best.label == "alpha"
    assert best.mean[-1] > best.mean[0]  # later views have less noise
    assert "2-way, 5 queries" in {trend.title.split(" · ")[0] for trend in by_name["shots"]}
    assert len(by_name["shots"][0].panels[0].curves) == 8  # an upstream in each view


def test_validation_chooses_and_test_is_reported(tmp_path):
    folder = write_results(
        tmp_path, {"alpha": 1.0}, ["esc"], splits=("validation", "test"), strengths=(0.1, 1.0), n_episodes=300
    )
    table = chosen_grid(read_results(folder).records)
    (row,) = table.rows
    assert row[3].text == "last.mean · l2 · logistic, C = 1"
    assert float(row[4].text) > float(row[5].text.split()[0])
    only_test = write_results(
        tmp_path / "test", {"alpha": 1.0}, ["esc"], splits=("test",), strengths=(0.1, 1.0), n_episodes=50
    )
    assert chosen_grid(read_results(only_test).records) is None


def test_one_pooling_serves_all_datasets_and_is_chosen_on_validation(tmp_path):
    # The later view has less noise, so `max` is the better pooling; `esc` alone is larger.
    folder = write_results(
        tmp_path,
        {"alpha": 1.0, "beta": 1.2},
        ["esc", "nsynth"],
        views=("last.mean", "last.max"),
        splits=("validation", "test"),
        n_episodes=100,
    )
    write_results(
        tmp_path, {"alpha": 1.0}, ["crema"], views=("last.mean", "last.max"), splits=("test",), n_episodes=100
    )
    records = read_results(folder).records
    (row,) = one_pooling_grid(records).rows
    episodes, layer, _, chosen, validation, cells, test = (cell.text for cell in row)
    assert (episodes, layer, chosen, cells) == ("5-way 1-shot", "last", "max", "4")
    means = {
        pooling: np.mean(
            [
                r["accuracy"]["mean"]
                for r in records
                if r["view"]["name"] == f"last.{pooling}" and r["identity"]["protocol"]["split"] == "validation"
            ]
        )
        for pooling in ("max", "mean")
    }
    assert validation == f"max {100 * means['max']:.2f}, mean {100 * means['mean']:.2f}"
    # The dataset without a validation split is reported by the same pooling.
    tested = [
        r["accuracy"]["mean"]
        for r in records
        if r["view"]["name"] == "last.max" and r["identity"]["protocol"]["split"] == "test"
    ]
    assert test == f"{100 * np.mean(tested):.2f} (5)"
    # An upstream that lacks a pooling has no say.
    fewer = [r for r in records if not (r["upstream"]["name"] == "beta" and r["view"]["name"] == "last.max")]
    assert one_pooling_grid(fewer).rows[0][5].text == "2"
    assert one_pooling_grid([r for r in records if r["view"]["name"] == "last.max"]) is None


def test_clips_of_other_splits_and_of_classes_left_out_do_not_count():
    draws = {
        "class": np.array(["a", "a", "a", "b", "b", "c"]),
        "split": np.array(["test", "test", "train", "test", "test", "test"]),
        "clips": np.array([[[0, 1], [3, 4]]]),
    }
    names, index = classes_of_clips(draws, {"split": "test", "min_clips": 2})
    assert names.tolist() == ["a", "b", "c"]
    assert index.tolist() == [0, 0, -1, 1, 1, -1]
    del draws["split"]
    assert classes_of_clips(draws, {"split": "test"})[1].tolist() == [0, 0, -1, 1, 1, -1]


def test_published_numbers_stand_beside_ours_with_the_difference():
    records = [
        record_of("hubert_base", "speech_commands_v2", 0.60, n_query=1),
        record_of("mine", "scv2", 0.5, n_query=1),
    ]
    records[1]["identity"]["clip_table"] = records[0]["identity"]["clip_table"]
    records[1]["dataset"]["name"] = "speech_commands_v2"
    records[0]["accuracy"]["ci95"] = records[1]["accuracy"]["ci95"] = 0.005
    (row,) = beside_published(leaderboard(records)).rows
    assert [cell.text for cell in row] == [
        "hubert_base",
        "speech_commands_v2",
        "60.00 ± 0.50",
        "57.10 ± 0.43",
        "+2.90 ± 0.66",
        f"{2 * norm.sf(0.029 / (np.hypot(0.005, 0.0043) / 1.96)):.2g}",
        "larger than sampling",
    ]
    assert beside_published(leaderboard([record_of("mine", "esc")])) is None


def test_any_table_can_be_correlated_with(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("model,wer,map\nA 1,10,0.5\nB,20,\nC,30,0.2\nD,40,0.1\nelse,1,1\n", encoding="utf-8")
    table = read_outside_table(path, ("wer",))
    assert table.values[:, 0].tolist() == [-10, -20, -30, -40, -1]
    records = [
        record_of(name, "esc", mean) for name, mean in (("a-1", 0.9), ("b", 0.7), ("c", 0.5), ("d", 0.3), ("e", 0.2))
    ]
    found, upstreams, accuracy, _ = correlate_board(leaderboard(records), table)
    assert upstreams == ("a-1", "b", "c", "d")
    assert found.coefficient[0].tolist() == pytest.approx([1.0, 1.0])
    assert found.n[0].tolist() == [4, 3]
    assert accuracy[:, 0].tolist() == [0.9, 0.7, 0.5, 0.3]
    assert correlate_board(leaderboard(records[:3]), table) is None
    straight, _, _, _ = correlate_board(leaderboard(records), table, "pearson")
    bent, _, accuracy, values = correlate_board(leaderboard(records), table, "pearson", with_logit=True)
    shares = np.log(accuracy[:, 0] / (1 - accuracy[:, 0]))
    assert bent.coefficient[0, 0] == pytest.approx(
        np.corrcoef(shares, values[:, 0])[0, 1]
    )  # word error rates are no shares
    assert bent.coefficient[0, 0] != pytest.approx(straight.coefficient[0, 0], abs=1e-4)
    with pytest.raises(UserError, match="no column 'cer'; it has wer, map"):
        read_outside_table(path, ("cer",))
    path.write_text("model,wer\nA,ten\n", encoding="utf-8")
    with pytest.raises(UserError, match="line 2: 'ten' under 'wer' is no number"):
        read_outside_table(path)
    path.write_text("model\n", encoding="utf-8")
    with pytest.raises(UserError, match="needs a header"):
        read_outside_table(path)


def test_an_outside_table_reaches_the_report(tmp_path):
    upstreams = {f"u{i}": 0.3 + 0.3 * i for i in range(5)}
    folder = write_results(tmp_path / "results", upstreams, ["esc", "words"], n_episodes=60)
    table = OutsideTable("mine", tuple(upstreams), ("score",), np.arange(5.0)[::-1, None])
    build_report(read_results(folder), tmp_path / "out", Choices(formats=("svg",), outside=table), "Outside")
    text = (tmp_path / "out/tables/board-1-mine-correlations.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(text.splitlines()))
    assert rows[0] == ["", "score"]
    assert float(rows[1][1].split()[0]) > 0.8


def test_user_errors_name_the_need(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="holds no results"):
        run(monkeypatch, tmp_path / "nowhere")
    folder = write_results(tmp_path / "results", {"alpha": 0.5}, ["esc"], n_episodes=20)
    with pytest.raises(UserError, match="pairs need at least 2"):
        run(monkeypatch, folder, "--compare-at-most", "1")
    line_file(folder).write_text("{\n", encoding="utf-8")
    with pytest.raises(UserError, match="no record that can be read"):
        run(monkeypatch, folder)
    shutil.rmtree(folder)


def test_the_paper_is_reported_from_its_published_numbers(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, "--paper", "--out", tmp_path, "--formats", "svg", "pdf") == 0
    shown = capsys.readouterr().out
    assert "SCv2-QbE: Spearman 0.91" in shown
    assert shown.count("does not hold") == 6
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {
        "figure-1.svg",
        "figure-1.pdf",
        "figure-2.svg",
        "figure-2.pdf",
    }
    assert {"table-1.tex", "table-2.md", "table-3.csv", "claims.txt"} <= {
        p.name for p in (tmp_path / "tables").iterdir()
    }
    assert len((tmp_path / "index.html").read_bytes()) < 3e6


@pytest.mark.slow
def test_two_hundred_upstreams_on_fifty_datasets_take_half_a_minute_and_three_megabytes(tmp_path):
    import time

    upstreams = {f"upstream-{i:03d}": 0.5 + 0.02 * i for i in range(200)}
    folder = write_results(
        tmp_path / "r", upstreams, [f"dataset-{d:02d}" for d in range(50)], n_episodes=200, n_per_class=12
    )
    start = time.process_time()
    made = build_report(read_results(folder), tmp_path / "out", Choices(), "Large")
    boards, problems = made.boards, list(made.problems)
    assert time.process_time() - start < 30
    assert problems == []
    assert boards[0].mean.shape == (200, 50)
    assert (tmp_path / "out" / "index.html").stat().st_size < 3e6


@pytest.mark.slow
def test_thirteen_encoders_ten_datasets_five_shots_and_three_classifiers_make_a_page_below_five_megabytes(tmp_path):
    upstreams = {f"encoder-{i:02d}": 0.3 + 0.15 * i for i in range(13)}
    write_results(
        *(tmp_path / "r", upstreams, [f"dataset {d}" for d in range(10)]),
        shots=(1, 2, 5, 10, 20),
        n_episodes=200,
        n_per_class=26,
        n_classes=10,
        strengths=(1.0, 0.5, 0.25),
    )
    made = build_report(read_results(tmp_path / "r"), tmp_path / "out", Choices(formats=("svg",)), "Large")
    assert (len(made.boards), made.problems) == (15, ())
    assert (tmp_path / "out" / "index.html").stat().st_size < 5e6


def test_a_page_shows_what_fits_and_names_where_the_rest_is(tmp_path, monkeypatch):
    folder = write_results(
        tmp_path / "r", UPSTREAMS, ["esc", "words"], shots=(1, 2), strengths=(0.1, 1.0), n_episodes=60
    )
    results = read_results(folder)
    assert [len(board.cells) for board in boards_that_fit(leaderboards(results.records), 13)] == [6, 6]
    (best,) = boards_that_fit(leaderboards(results.records), 4)
    assert best.mean.shape == (2, 2)
    assert "The best 2 of 3 upstreams" in best.notes[-1]
    monkeypatch.setattr("jfewshot.reporting.build.boards_that_fit", lambda boards: boards_that_fit(boards, 13))
    made = build_report(results, tmp_path / "out", Choices(formats=("svg",)), "Large")
    boards, problems = made.boards, list(made.problems)
    assert (len(boards), problems) == (4, [])
    assert {path.name for path in (tmp_path / "out" / "tables").glob("board-?.csv")} == {"board-1.csv", "board-2.csv"}
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "The page shows the first 2 of 4 conditions" in page
    rows = list(csv.reader((tmp_path / "out" / "tables" / "conditions.csv").read_text(encoding="utf-8").splitlines()))
    assert [row[1] for row in rows[1:]] == ["board-1", "board-2", "exports/cells.csv", "exports/cells.csv"]
    cells = list(csv.DictReader((tmp_path / "out" / "exports" / "cells.csv").read_text(encoding="utf-8").splitlines()))
    assert len(cells) == 4 * 6


def test_conditions_of_equal_parts_are_told_apart_and_put_together():
    known = Conditions()
    records = [record_of(strength=1.0), record_of("beta", strength=1.0), record_of(strength=2.0), record_of(seed=1)]
    assert [known.key(record) for record in records] == [condition_key(record) for record in records]
    # Parts that are one object, as `read_results` gives them.
    other = json.loads(json.dumps(records[0]))
    other["identity"]["protocol"] = records[3]["identity"]["protocol"]
    assert known.key(other) == condition_key(other) == known.key(records[3])


def test_the_confusion_matrix_is_of_the_best_upstream(tmp_path):
    results = read_results(write_results(tmp_path, {"bad": 3.0, "good": 0.2, "fair": 1.0}, ["esc"], n_episodes=60))
    board = leaderboard(results.records)
    (paired,) = analyse(results, board, []).paired
    assert board.upstreams[paired.best] == "good"
    own = paired.class_accuracy[paired.rows.index(paired.best)]
    # Queries of a class that were taken for it, over all queries of the class.
    np.testing.assert_allclose(np.diag(paired.confusion), own)
    assert own.mean() > paired.class_accuracy.mean() + 0.1


def test_group_aware_results_of_several_shots_are_one_curve():
    records = [
        record_of("alpha", "esc", mean, k_shot=shots, nested_shots=shots, group_aware=True, group_aware_draws=2)
        for shots, mean in ((1, 0.5), (5, 0.7))
    ]
    (curve,) = trends(records)[0].panels[0].curves
    assert curve.x == (1.0, 5.0)
    assert curve.mean == (0.5, 0.7)
