"""A row for each classifier: means, ranks and tests on the cells that all of them have."""

import csv
import json

import jax
import numpy as np
import pytest
from scipy import stats

from jfewshot.reporting import classifier_blocks
from jfewshot.reporting.build import Choices, build_report
from jfewshot.reporting.classifier_rows import compare_classifiers
from jfewshot.reporting.classifier_tables import classifier_grid, classifiers_json
from jfewshot.reporting.classifier_wins import with_wins
from jfewshot.reporting.grid import to_terminal
from jfewshot.results import read_results
from jfewshot.run import main as run
from jfewshot.statistics import compare, correct_from_predicted, holm, make_pool, pool_covariance
from tests.reporting.synthetic import record_of, write_results
from tests.synthetic_stores import clip_table, make_store

CENTROID = {"name": "centroid", "metric": "euclidean"}
MINE = {"name": "my_heads.Mine", "source": "0123456789ab"}
SINKHORN = {"name": "sinkhorn", "transductive": True}


def results_of(accuracies, **options):
    """Records of one classifier, from the accuracy on each (upstream, dataset)."""
    return [record_of(upstream, dataset, mean, **options) for (upstream, dataset), mean in accuracies.items()]


def texts(table):
    return [[entry.text for entry in row] for row in table.rows]


def test_a_case_by_hand():
    cells = [(upstream, dataset) for dataset in ("esc", "words") for upstream in ("alpha", "beta", "gamma")]
    records = [
        *results_of(
            dict(zip(cells, [0.50, 0.60, 0.70, 0.40, 0.50, 0.60], strict=True)), classifier=CENTROID, strength=None
        ),
        *results_of(
            dict(zip(cells, [0.52, 0.63, 0.74, 0.45, 0.56, 0.67], strict=True)), classifier=MINE, strength=None
        ),
        *results_of(dict(zip(cells, [0.51, 0.58, 0.73, 0.41, 0.57, 0.60], strict=True))),
    ]
    (rows,) = compare_classifiers(records)
    # The differences from the first row have sizes 2, 3, 4, 5, 6 and 7 points, all of one sign: p = 2 / 2^6. Those of
    # logistic are 1, 5, 1, 4, -1 and 7: the ranks of the positive ones sum to 2 + 5 + 2 + 4 + 6 = 19 of 21, and of the
    # 64 patterns of signs, 1 + 3 reach 19 or more.
    assert classifier_grid(rows).columns == (
        *("Classifier", "esc", "words", "Avg", "Avg Rank", "Avg − best", "p (Holm)", "wins-ties-losses"),
    )
    assert texts(classifier_grid(rows)) == [
        ["my_heads.Mine", "63.00", "56.00", "59.50", "1.17", "–", "–", "–"],
        ["logistic, C = 1", "60.67", "52.67", "56.67", "2.08", "−2.83", "0.25", "–"],
        ["centroid", "60.00", "50.00", "55.00", "2.75", "−4.50", "0.0938", "–"],
    ]
    assert rows.p_value[0, 2] == 2 / 2**6
    assert rows.p_value[0, 1] == 2 * 4 / 2**6
    assert rows.average_rank.tolist() == pytest.approx([7 / 6, 12.5 / 6, 16.5 / 6])


def test_tests_are_scipys_with_holm_over_all_pairs():
    rng = np.random.default_rng(4)
    cells = [(f"up{number}", dataset) for dataset in ("esc", "words", "birds") for number in range(6)]
    records = []
    for place, strength in enumerate((0.1, 1.0, 10.0)):
        values = 0.5 + 0.02 * place + 0.03 * rng.normal(size=len(cells))
        records += results_of(dict(zip(cells, values, strict=True)), strength=strength)
    (rows,) = compare_classifiers(records)
    pairs = [(i, j) for i in range(3) for j in range(i + 1, 3)]
    expected = np.array([stats.wilcoxon(rows.mean[i], rows.mean[j]).pvalue for i, j in pairs])
    np.testing.assert_allclose([rows.p_value[pair] for pair in pairs], expected)
    np.testing.assert_allclose([rows.p_holm[pair] for pair in pairs], holm(expected))
    ranks = stats.rankdata(-np.round(100 * rows.mean, 2), axis=0).mean(axis=1)
    np.testing.assert_allclose(rows.average_rank, ranks)
    assert set(rows.classifiers) == {"logistic, C = 0.1", "logistic, C = 1", "logistic, C = 10"}


def test_below_the_fewest_cells_the_table_says_that_nothing_can_be_significant():
    cells = [("alpha", f"set{number}") for number in range(6)]
    better, worse = ({cell: mean + 0.01 * place for place, cell in enumerate(cells)} for mean in (0.6, 0.4))
    # The sizes of the differences are all different.
    worse = {cell: mean - 0.001 * place for place, (cell, mean) in enumerate(worse.items())}
    records = [*results_of(better), *results_of(worse, classifier=CENTROID, strength=None)]

    def notes(records):
        (rows,) = compare_classifiers(records)
        return " ".join(classifier_grid(rows, short=True).notes), rows.p_holm[0, 1]

    said, p_value = notes(records)
    assert "can be significant" not in said
    assert p_value < 0.05
    said, p_value = notes([record for record in records if record["dataset"]["name"] != "set0"])
    assert "With 5 cells no difference can be significant: p below 0.05 needs 6." in said
    assert p_value > 0.05


def test_cells_that_not_all_classifiers_have_are_left_out_and_named():
    cells = {("alpha", "esc"): 0.5, ("beta", "esc"): 0.6, ("alpha", "words"): 0.7}
    fewer = {cell: mean for cell, mean in cells.items() if cell != ("beta", "esc")}
    (rows,) = compare_classifiers([*results_of(cells), *results_of(fewer, classifier=CENTROID, strength=None)])
    assert sorted(zip(rows.upstreams, rows.datasets, strict=True)) == [("alpha", "esc"), ("alpha", "words")]
    left = "Left out: 1 cell that not every classifier has (centroid lacks 1: beta on esc)."
    assert rows.left_out == (left,)
    assert left in classifier_grid(rows).notes


def test_a_classifier_without_a_common_cell_is_named_and_the_others_are_compared():
    cells = {("alpha", "esc"): 0.5, ("beta", "esc"): 0.6}
    elsewhere = {("alpha", "words"): 0.5}
    records = [
        *results_of(cells),
        *results_of(cells, strength=10.0),
        *results_of(elsewhere, classifier=CENTROID, strength=None),
    ]
    (rows,) = compare_classifiers(records)
    assert set(rows.classifiers) == {"logistic, C = 1", "logistic, C = 10"}
    assert rows.left_out == ("Not compared, since they have no cell in common with the others: centroid.",)
    assert compare_classifiers([*results_of(cells), *results_of(elsewhere, strength=10.0)]) == []


def test_other_draws_are_other_cells():
    one, other = results_of({("alpha", "esc"): 0.5}), results_of({("alpha", "esc"): 0.6}, strength=10.0)
    assert compare_classifiers([*one, *other])
    assert compare_classifiers([one[0] | {"draws": "a.npz"}, other[0] | {"draws": "b.npz"}]) == []


def test_transductive_classifiers_are_compared_with_each_other_alone():
    cells = {("alpha", "esc"): 0.5, ("beta", "esc"): 0.6}
    records = [
        *results_of(cells),
        *results_of(cells, classifier=CENTROID, strength=None),
        *results_of({cell: mean + 0.2 for cell, mean in cells.items()}, classifier=SINKHORN, strength=None),
    ]
    (rows,) = compare_classifiers(records)
    assert not rows.transductive
    note = "Transductive classifiers are not compared with these: sinkhorn (transductive)."
    assert note in classifier_grid(rows).notes
    tim = {"name": "tim", "transductive": True}
    rows, apart = compare_classifiers([*records, *results_of(cells, classifier=tim, strength=None)])
    assert set(rows.classifiers) == {"logistic, C = 1", "centroid"}
    assert apart.classifiers == ("sinkhorn (transductive)", "tim (transductive)")
    assert classifier_grid(apart).title.startswith("Transductive classifiers: ")


def test_shots_are_cells_of_one_table_with_a_column_each_and_other_settings_have_tables_of_their_own():
    records = []
    for strength, gain in ((1.0, 0.0), (10.0, 0.1)):
        for k_shot in (1, 5):
            means = {("alpha", "esc"): 0.4 + 0.02 * k_shot + gain}
            records += results_of(means, strength=strength, k_shot=k_shot)
        records += results_of({("alpha", "esc"): 0.2 + gain}, strength=strength, n_way=20)
    rows, of_20_ways = compare_classifiers(records)
    table = classifier_grid(rows)
    assert table.title == "Classifiers: 5-way, 1 and 5 shots, 5 queries · l2 · 400 episodes, seed 0"
    assert texts(table)[0][:5] == ["logistic, C = 10", "56.00", "52.00", "60.00", "56.00"]
    assert table.columns[1:5] == ("esc", "1 shot", "5 shots", "Avg")
    assert of_20_ways.title.startswith("20-way 1-shot")


def test_settings_source_and_version_are_named_where_they_distinguish_rows():
    cells = {("alpha", "esc"): 0.5}
    edited = {**MINE, "source": "ba9876543210"}
    cosine = {**CENTROID, "metric": "cosine"}
    records = [
        *results_of(cells, classifier=MINE, strength=None),
        *results_of(cells, classifier=edited, strength=None),
        *results_of(cells, classifier=CENTROID, strength=None),
        *results_of(cells, classifier=cosine, strength=None),
    ]
    newer = record_of("alpha", "esc", 0.6, classifier=CENTROID, strength=None)
    newer["identity"]["numerics"] = 2
    (rows,) = compare_classifiers([*records, newer])
    assert set(rows.classifiers) == {
        "my_heads.Mine, source = 0123456789ab",
        "my_heads.Mine, source = ba9876543210",
        "centroid, metric = cosine",
        "centroid, metric = euclidean, arithmetic 1",
        "centroid, metric = euclidean, arithmetic 2",
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("results")
    return write_results(
        path, {"alpha": 0.5, "beta": 0.9}, ["esc", "words"], strengths=(0.2, 0.95, 1.0), n_episodes=150
    )


def test_wins_are_those_of_paired_differences_on_the_same_episodes(folder):
    results = read_results(folder)
    (rows,) = compare_classifiers(results.records)
    problems = []
    counted = with_wins(rows, results, problems)
    assert problems == []
    assert counted.n_counted == 4
    assert counted.wins_ties_losses.sum(axis=1).tolist() == [0, 4, 4]
    expected = np.zeros((3, 3), dtype=int)
    for cell in zip(*counted.records, strict=True):
        draws = results.draws(cell[0])
        right = np.stack([correct_from_predicted(results.predictions(record), 5) for record in cell])
        labels = np.unique(draws["class"], return_inverse=True)[1]
        covariance = pool_covariance(right, make_pool(draws["clips"].astype(np.int64), labels, 1))
        found = compare([covariance])
        for row in (1, 2):
            stands = found.p_holm[row, 0] < 0.05
            expected[row, 1 if not stands else 0 if found.difference[row, 0] > 0 else 2] += 1
    np.testing.assert_array_equal(counted.wins_ties_losses, expected)
    # Much more noise loses on more cells than a little more noise.
    assert counted.classifiers == ("logistic, C = 1", "logistic, C = 0.95", "logistic, C = 0.2")
    assert expected[2, 2] > expected[1, 2]


def test_predictions_that_are_missing_are_a_problem_and_no_count(folder, tmp_path):
    results = read_results(folder)
    (rows,) = compare_classifiers(results.records)
    problems = []
    nowhere = with_wins(rows, type(results)(tmp_path, results.records, ()), problems)
    assert nowhere.wins_ties_losses is None
    assert len(problems) == 4
    assert {row[-1].text for row in classifier_grid(nowhere).rows} == {"–"}


def test_a_report_has_the_table_in_every_form_and_on_the_page(folder, tmp_path):
    build_report(read_results(folder), tmp_path, Choices(formats=("svg",), figures_at_most=0), "Classifiers")
    files = {path.suffix: path.read_text("utf-8") for path in (tmp_path / "tables").glob("answer-classifiers.*")}
    assert set(files) == {".txt", ".md", ".tex", ".csv", ".json"}
    (plain,) = json.loads(files[".json"])
    lines = list(csv.DictReader(files[".csv"].splitlines()))
    assert [line["Classifier"] for line in lines] == [one["name"] for one in plain["classifiers"]]
    for line, one in zip(lines, plain["classifiers"], strict=True):
        means = [cell["accuracy"][one["name"]] for cell in plain["cells"]]
        assert float(line["Avg"]) == pytest.approx(100 * np.mean(means), abs=0.005)
    assert plain["classifiers"][0]["p_holm"] is None
    page = (tmp_path / "index.html").read_text("utf-8")
    answer = page[page.index('id="answer"') : page.index('id="board-1"')]
    assert "Classifiers: 5-way 1-shot" in answer
    assert "wins-ties-losses" in answer


def test_a_report_reads_the_predictions_of_a_limited_number_of_results(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(classifier_blocks, "_MOST_READ", 11)  # the table has 3 classifiers on 4 cells
    build_report(read_results(folder), tmp_path, Choices(formats=("svg",), figures_at_most=0), "Classifiers")
    text = (tmp_path / "tables" / "answer-classifiers.txt").read_text("utf-8")
    assert "Wins-ties-losses were not counted: there are too many results" in " ".join(text.split())
    (plain,) = json.loads((tmp_path / "tables" / "answer-classifiers.json").read_text("utf-8"))
    assert [one["wins_ties_losses"] for one in plain["classifiers"]] == [None, None, None]


def test_one_classifier_has_no_table(tmp_path):
    records = results_of({("alpha", "esc"): 0.5, ("beta", "esc"): 0.6})
    assert compare_classifiers(records) == []
    assert json.loads(classifiers_json([])) == []


def test_a_run_of_several_classifiers_prints_their_rows_in_80_columns(tmp_path, capsys, monkeypatch):
    jax.devices()
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "unused")
    monkeypatch.setenv("COLUMNS", "80")
    table = clip_table((5, 6, 7))
    for upstream in ("good", "poor"):
        make_store(tmp_path / "stores" / upstream, table, "birds", upstream, seed=ord(upstream[0]))
    small = ["--ways", "2", "--n-query", "2", "--episodes", "40", "--devices", "1"]
    arguments = ["--stores", str(tmp_path / "stores"), "--out", str(tmp_path / "out"), *small]
    assert run([*arguments, "--classifiers", "centroid", "knn"]) == 0
    printed = capsys.readouterr().out
    (rows,) = compare_classifiers(read_results(tmp_path / "out").records)
    expected = to_terminal(classifier_grid(rows, short=True), 80)
    assert expected.strip() in "\n".join(line.rstrip() for line in printed.split("\n"))
    assert {"centroid", "knn"} <= {line.split()[0] for line in expected.splitlines() if line.strip()}
    assert run([*arguments, "--classifiers", "centroid"]) == 0
    assert "Classifiers:" not in capsys.readouterr().out
