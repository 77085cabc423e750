import csv
import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from scipy import stats

from jfewshot.errors import UserError
from jfewshot.reporting.leaderboard import best_and_second
from jfewshot.reporting.tables import leaderboard, leaderboards, render, rich_table
from jfewshot.statistics import as_read, rank_within_columns
from tests.reporting.synthetic import record_of


def three_by_two():
    means = {"alpha": (0.5, 0.9), "beta": (0.6, 0.7), "gamma": (0.6, 0.2)}
    return [record_of(u, d, m) for u, row in means.items() for d, m in zip(("esc", "words"), row, strict=True)]


def test_averages_and_ranks_are_those_done_by_hand():
    board = leaderboard(three_by_two())
    assert board.upstreams == ("alpha", "beta", "gamma")
    assert board.datasets == ("esc", "words")
    np.testing.assert_allclose(board.average, [0.7, 0.65, 0.4])
    np.testing.assert_allclose(board.average_rank, [(3 + 1) / 2, (1.5 + 2) / 2, (1.5 + 3) / 2])
    expected = stats.rankdata(-board.mean, axis=0).mean(axis=1)
    np.testing.assert_allclose(board.average_rank, expected)
    assert "| *65.00 ± 1.39* | **1.75** |" in render(board, "markdown")
    ci95 = 1.96 * 0.2 / np.sqrt(400)
    np.testing.assert_allclose(board.average_half_width["ci95"], np.sqrt(2) * ci95 / 2)


def test_best_and_second_best_share_their_marks_among_ties():
    assert best_and_second(np.array([0.5, 0.6, 0.6, 0.4])) == ["second", "best", "best", ""]
    assert best_and_second(np.array([0.57101, 0.57098, 0.3])) == ["best", "best", "second"]  # both read 57.10
    assert best_and_second(np.array([2.0, 1.0, np.nan]), largest=False) == ["second", "best", ""]
    assert best_and_second(np.array([0.5])) == [""]


def test_what_reads_alike_ranks_alike_and_what_reads_differently_does_not():
    # Means of 20,000 queries are multiples of 1/20000, and half of them lie on a rounding edge of the second decimal.
    means = np.arange(20_001) / 20_000
    texts = [f"{100 * mean:.2f}" for mean in means]
    read = as_read(100 * means)
    for number in range(20_000):
        assert (read[number] == read[number + 1]) == (texts[number] == texts[number + 1])
    for number in range(3, 20_000, 97):
        pair = means[number : number + 2]
        same = texts[number] == texts[number + 1]
        assert rank_within_columns(pair[:, None])[:, 0].tolist() == ([1.5, 1.5] if same else [2.0, 1.0])
        assert best_and_second(pair) == (["", ""] if same else ["second", "best"])
    # One decimal is printed, and marks follow it.
    board = leaderboard([record_of("a", mean=0.57101), record_of("b", mean=0.57098), record_of("c", mean=0.3)])
    assert render(board, "markdown", "dense").count("**57.1±") == 2


def test_missing_cells_are_dashes_and_only_complete_rows_have_averages():
    records = three_by_two()[:-1]
    board = leaderboard(records)
    assert board.upstreams == ("alpha", "beta", "gamma")
    assert np.isnan(board.average[2])
    assert np.isnan(board.average_rank[2])
    np.testing.assert_allclose(board.average_rank[:2], [1.5, 1.5])
    text = render(board, "markdown")
    assert "| gamma | **60.00 ± 1.96** | – | – | – |" in text
    assert "over the upstreams that have every dataset" in text
    row = list(csv.DictReader(io.StringIO(render(board, "csv"))))[2]
    assert (row["words"], row["average"], float(row["esc"])) == ("", "", 0.6)


def test_one_upstream_on_one_dataset_is_a_table():
    board = leaderboard([record_of()])
    text = render(board, "terminal")
    assert "50.00 ± 1.96" in text
    assert "Avg" not in text
    assert "bold" not in text


def test_conditions_never_share_a_table():
    records = [record_of(), record_of(k_shot=5), record_of("beta", k_shot=5), record_of(strength=10.0)]
    boards = leaderboards(records)
    assert [len(board.cells) for board in boards] == [2, 1, 1]
    assert boards[0].title == "5-way 5-shot, 5 queries · logistic, C = 1 · l2 · 400 episodes, seed 0"
    with pytest.raises(UserError, match=r"strength\.value is 1\.0 or 10\.0") as caught:
        leaderboard(records)
    assert "protocol.k_shot is 1 or 5" in str(caught.value)


def test_leaderboards_are_made_when_they_are_asked_for_in_the_order_of_all(monkeypatch):
    from jfewshot.reporting import leaderboard as module

    records = [record_of(strength=10.0), record_of(), record_of("beta", k_shot=5), record_of(k_shot=5)]
    titles = [board.title for board in leaderboards(records)]
    made = []
    make = module.leaderboard
    monkeypatch.setattr(module, "leaderboard", lambda *arguments: made.append(arguments) or make(*arguments))
    n, boards = module.each_leaderboard(records)
    assert (n, made) == (3, [])
    assert next(boards).title == titles[0]
    assert len(made) == 1
    assert [board.title for board in boards] == titles[1:]


def test_centring_by_another_stores_mean_is_one_condition():
    records = [record_of("alpha"), record_of("beta")]
    for record, mean_of in zip(records, ("ab12", "cd34"), strict=True):
        record["identity"]["preprocessing"] = {"name": "center_l2", "center": mean_of}
    assert "center_l2 (centre: another store)" in leaderboard(records).title


def test_rows_that_would_read_the_same_say_more():
    records = [
        record_of(view="3.mean"),
        record_of(view="last.mean"),
        record_of("beta"),
        record_of("beta", revision="2"),
    ]
    board = leaderboard(records)
    assert sorted(board.upstreams) == [
        "alpha (3.mean)",
        "alpha (last.mean)",
        "beta (1)",
        "beta (2)",
    ]
    assert any("'alpha' stands for more than one" in note for note in board.notes)
    clips = leaderboard([record_of(), record_of(clip_table="f" * 64)])
    assert len(clips.datasets) == 2
    assert any(label.endswith("(esc, clips ffffffff)") for label in clips.datasets)


def test_two_results_for_one_cell_are_refused_by_name():
    again = record_of(mean=0.7)
    again["identity"]["embeddings"] = "0" * 64
    with pytest.raises(UserError, match=r"two results for upstream 'alpha' on dataset 'esc'.*embeddings"):
        leaderboard([record_of(), again])


def test_both_intervals_can_be_shown_and_an_unknown_one_is_named():
    records = three_by_two()
    records[0]["accuracy"]["pool_ci95"] = None
    text = render(leaderboard(records, "both"), "markdown")
    assert "50.00 ± 1.96 (± –)" in text
    assert "**90.00 ± 1.96 (± 5.00)**" in text
    assert "too small to estimate" in text
    assert render(leaderboard(records, ("ci95", "pool_ci95")), "markdown") == text
    assert "70.0±2.0(±5.0)" in render(leaderboard(records, "both"), "markdown", style="dense")
    with pytest.raises(UserError, match="unknown interval 'sd'; there are ci95, pool_ci95"):
        leaderboard(records, "sd")
    with pytest.raises(UserError, match="no results"):
        leaderboard([])


def test_json_and_csv_keep_full_precision_and_the_key_of_every_cell():
    records = [record_of("alpha", mean=1 / 3), record_of("beta", mean=2 / 3)]
    board = leaderboard(records)
    plain = json.loads(render(board, "json"))
    assert plain["rows"][1]["cells"]["esc"]["mean"] == 1 / 3
    assert plain["rows"][1]["cells"]["esc"]["key"] == records[0]["key"]
    assert plain["condition"] == {k: v for k, v in records[0]["identity"].items() if k in plain["condition"]}
    rows = list(csv.DictReader(io.StringIO(render(board, "csv"))))
    assert float(rows[1]["esc"]) == 1 / 3


def test_wide_tables_go_on_below_and_fit_the_terminal():
    records = [record_of(u, f"dataset-{d:02d}", 0.5 + d / 100) for u in ("alpha", "beta") for d in range(12)]
    text = render(leaderboard(records), "terminal", width=80)
    assert max(map(len, text.splitlines())) <= 80
    for d in range(12):
        assert f"dataset-{d:02d}" in text
    assert text.count("alpha") > 2  # the label stands in each part
    assert rich_table(leaderboard(records), 80)


AWKWARD = {"upstream": "ввек_2|π & 100% {x}", "dataset": "Bögel\\#1 ~ ^鳥"}


def test_markup_in_names_is_escaped():
    board = leaderboard([record_of(AWKWARD["upstream"], AWKWARD["dataset"]), record_of("beta", AWKWARD["dataset"])])
    markdown = render(board, "markdown")
    assert r"ввек\_2\|π \& 100% {x}" in markdown
    assert len({line.replace(r"\|", "").count("|") for line in markdown.splitlines() if line.startswith("|")}) == 1
    latex = render(board, "latex")
    assert r"ввек\_2\textbar{}π \& 100\% \{x\}" in latex
    assert r"Bögel\textbackslash{}\#1 \textasciitilde{} \textasciicircum{}鳥" in latex
    assert AWKWARD["upstream"] in render(board, "terminal")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex, to compile the table")
def test_the_latex_table_compiles(tmp_path):
    board = leaderboard([*three_by_two()[:-1], record_of("x_1 & {y} 50% #~^\\", "esc")], "both")
    source = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n%s\\end{document}\n"
    (tmp_path / "table.tex").write_text(source % render(board, "latex"), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
