import csv
import functools
import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

import jfewshot
from jfewshot.errors import UserError
from jfewshot.report import main as report
from jfewshot.reporting.compare import changes, compare_folders, moves_grid
from jfewshot.results import read_results
from tests.reporting.synthetic import write_results
from tests.results.packed import block_file, without_digests
from tests.synthetic_stores import clip_table, embeddings, make_store

SCORES = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "macro_f1": functools.partial(f1_score, average="macro", zero_division=0),
}


def folders(tmp_path, before, after, datasets=("esc", "words"), **options):
    return [
        read_results(write_results(tmp_path / name, upstreams, datasets, n_episodes=300, **options))
        for name, upstreams in (("before", before), ("after", after))
    ]


def test_what_moved_is_measured_on_the_same_episodes(tmp_path):
    before, after = folders(tmp_path, {"alpha": 2.5, "beta": 0.5}, {"alpha": 0.3, "beta": 0.5})
    found = compare_folders(before, after)
    moved = {(move.upstream, move.dataset): move for move in found.moves}
    assert len(moved) == 4
    assert moved["beta", "esc"].identical
    better = moved["alpha", "esc"]
    assert better.after - better.before > 0.3
    assert better.p_holm < 0.05
    assert better.half_width < better.after - better.before
    assert found.moves[0].upstream == "alpha"  # the largest move first
    table = moves_grid(found, "x")
    words = {tuple(cell.text for cell in row[:2]): row[-1].text for row in table.rows}
    assert words == {("alpha", "words"): "real", ("alpha", "esc"): "real"}
    assert "Not shown: 2 with the same predictions." in table.notes
    first, last = changes(found, "before", "after")
    assert first.startswith("2 of 4 shared results changed by more than chance; the largest: alpha on ")
    assert f"{100 * (found.moves[0].after - found.moves[0].before):+.2f} ± " in first
    assert last == "2 have the same predictions in both."


def test_what_one_folder_lacks_and_settings_that_differ_are_named(tmp_path):
    before = write_results(tmp_path / "a", {"alpha": 0.5, "beta": 0.5}, ["esc"], n_episodes=60)
    after = write_results(tmp_path / "b", {"alpha": 0.5}, ["esc"], n_episodes=60, ways=(5, 2))
    found = compare_folders(*(read_results(path) for path in (before, after)))
    assert found.settings == ("protocol.n_way is 5 before and 2 or 5 after",)
    said = changes(found, "a", "b")
    assert said[0] == "None of 1 shared results changed by more than chance."
    assert any(text.startswith("In a only: beta on esc, 5-way 1-shot") for text in said)
    assert any(text.startswith("In b only: alpha on esc, 2-way 1-shot") for text in said)


def test_two_versions_of_one_encoder_match_though_their_names_differ(tmp_path):
    before, after = folders(tmp_path, {"v1": 0.8}, {"v2": 0.8}, ("esc",))
    (move,) = compare_folders(before, after).moves
    assert move.upstream == "v1 → v2"
    assert move.p_holm > 0.001


def test_what_has_no_counterpart_is_counted_and_nothing_in_common_is_an_error(tmp_path):
    before, after = folders(tmp_path, {"alpha": 0.5, "beta": 0.5}, {"alpha": 0.5, "gamma": 0.5}, ("esc",))
    found = compare_folders(before, after)
    assert [move.upstream for move in found.moves] == ["alpha"]
    assert sum("1 of 2 results" in note for note in found.notes) == 2
    (other,) = folders(tmp_path / "other", {"alpha": 0.5}, {"alpha": 0.5}, ("birds",))[:1]
    with pytest.raises(UserError, match=r"no cell in common.*alpha, beta on esc; the second alpha on birds"):
        compare_folders(before, other)


def test_a_missing_file_is_named_and_the_rest_compared(tmp_path):
    before, after = folders(tmp_path, {"alpha": 0.5}, {"alpha": 0.7})
    record = before.records[0]
    data = bytearray(block_file(before.path).read_bytes())
    data[record["predictions"]["offset"]] ^= 1
    block_file(before.path).write_bytes(data)
    found = compare_folders(before, after)
    assert len(found.moves) == 1
    assert any("its bytes are not those" in note for note in found.notes)
    block_file(before.path).unlink()
    found = compare_folders(before, after)
    assert found.moves == ()
    assert all("is missing" in note for note in found.notes)


def test_other_episodes_under_one_protocol_are_refused(tmp_path):
    before, after = folders(tmp_path, {"alpha": 0.5}, {"alpha": 0.7}, ("esc",))
    record = after.records[0]
    path = after.path / "draws" / record["draws"]
    with np.load(path) as arrays:
        arrays = dict(arrays)
    arrays["clips"] = arrays["clips"][::-1]
    np.savez(path, **arrays)
    found = compare_folders(before, after)
    assert found.moves == ()
    assert any("was edited after it was written" in note for note in found.notes)
    # A record of an earlier version does not tell which episodes it had.
    without_digests(after.path)
    found = compare_folders(before, read_results(after.path))
    assert found.moves == ()
    assert any("different episodes" in note for note in found.notes)
    assert json.loads(json.dumps(found.notes))


def test_p_values_are_adjusted_by_holm_over_all_moves(tmp_path):
    before, after = folders(
        tmp_path, {"alpha": 0.9, "beta": 0.7, "gamma": 1.1}, {"alpha": 0.8, "beta": 0.9, "gamma": 0.9}
    )
    moves = sorted(compare_folders(before, after).moves, key=lambda move: move.p_value)
    assert len(moves) == 6
    least = 0.0
    for number, move in enumerate(moves):  # Holm (1979), one after the other
        least = max(least, min(move.p_value * (6 - number), 1.0))
        assert move.p_holm == pytest.approx(least)
    assert moves[0].p_holm != moves[0].p_value


@pytest.fixture(scope="module")
def unbalanced(tmp_path_factory):
    """Two folders of results on classes of 12, 4 and 4 clips, all of them queries."""
    folder = tmp_path_factory.mktemp("unbalanced")
    for name, spread in (("before", 3.0), ("after", 2.0)):
        table = clip_table((12, 4, 4))
        store = make_store(folder / "stores" / name, table, views={"last.mean": embeddings(table, spread=spread)})
        options = {"ways": 3, "n_query": "all", "n_episodes": 40, "classifiers": "centroid"}
        jfewshot.evaluate(store, out=folder / name, **options)
    return folder / "before", folder / "after"


@pytest.mark.parametrize("metric", SCORES)
def test_two_folders_are_compared_by_the_metric_that_is_asked_for(tmp_path, unbalanced, metric):
    paths = unbalanced
    assert report(["--compare", *map(str, paths), "--metric", metric, "--out", str(tmp_path / "out")]) == 0
    expected = []
    for path in paths:
        results = read_results(path)
        (record,) = results.records
        count = results.draws(record)["query_count"].astype(int)
        predicted = results.predictions(record).reshape(len(count), 3, -1)
        values = []
        for of_episode, sizes in zip(predicted, count, strict=True):
            given = np.concatenate([row[:size] for row, size in zip(of_episode, sizes, strict=True)])
            values.append(SCORES[metric](np.repeat(np.arange(3), sizes), given))
        expected.append(100 * np.mean(values))
    with open(tmp_path / "out" / "tables" / "compare.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert [float(row["before"]), float(row["after"])] == pytest.approx(expected, abs=0.006)
    assert float(row["difference"].partition(" ")[0].lstrip("'")) == pytest.approx(expected[1] - expected[0], abs=0.011)


def test_a_metric_that_no_result_has_is_refused(tmp_path):
    before, after = folders(tmp_path, {"alpha": 0.5}, {"alpha": 0.7}, ("esc",))
    with pytest.raises(UserError, match="no result has the metric macro_f1"):
        report(["--compare", str(before.path), str(after.path), "--metric", "macro_f1", "--out", str(tmp_path / "out")])
