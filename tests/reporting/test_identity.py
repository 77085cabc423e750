"""Two revisions of one upstream, and two upstreams with one title, are two upstreams in every part of the report."""

import csv
import io
import json

import pytest

from jfewshot.reporting.chosen import chosen_grid
from jfewshot.reporting.compare import compare_folders
from jfewshot.reporting.exports import write_exports
from jfewshot.reporting.labels import UpstreamNames
from jfewshot.reporting.tables import csv_of_boards, leaderboards
from jfewshot.reporting.trends import trends
from jfewshot.results import read_results
from tests.reporting.synthetic import record_of, write_results

TWO_REVISIONS = {"good": {"name": "hubert", "revision": "new"}, "bad": {"name": "hubert", "revision": "old"}}
ONE_TITLE = {"good": {"name": "hubert-b", "title": "HuBERT"}, "bad": {"name": "hubert-a", "title": "HuBERT"}}
NAMED = {
    "revisions": (TWO_REVISIONS, "hubert (new)", "hubert (old)"),
    "titles": (ONE_TITLE, "HuBERT (hubert-b)", "HuBERT (hubert-a)"),
}


def write(path, facts, upstreams=None, **options):
    folder = write_results(
        path, upstreams or {"good": 0.3, "bad": 2.5}, ["esc"], n_episodes=100, facts=facts, **options
    )
    return read_results(folder)


@pytest.mark.parametrize("kind", NAMED)
def test_boards_and_curves_use_the_same_two_names(tmp_path, kind):
    facts, good, bad = NAMED[kind]
    records = write(tmp_path, facts, shots=(1, 5)).records
    assert {name for board in leaderboards(records) for name in board.upstreams} == {good, bad}
    (over_shots,) = [trend for trend in trends(records) if trend.name == "shots"]
    curves = {curve.label: curve.mean for curve in over_shots.panels[0].curves}
    means = {
        name: [r["accuracy"]["mean"] for r in records if r["upstream"] == facts_of(records, facts[key])]
        for name, key in ((good, "good"), (bad, "bad"))
    }
    assert {name: sorted(curve) for name, curve in curves.items()} == {n: sorted(m) for n, m in means.items()}


def facts_of(records, said):
    return next(r["upstream"] for r in records if r["upstream"].items() >= said.items())


def test_points_of_two_revisions_make_no_curve(tmp_path):
    # One revision was evaluated at 1 shot, the other at 5: no line may join them.
    records = write(tmp_path, TWO_REVISIONS, shots=(1, 5)).records
    left = [
        r
        for r in records
        if (r["upstream"]["revision"], r["identity"]["protocol"]["k_shot"]) in {("old", 1), ("new", 5)}
    ]
    assert len(left) == 2
    assert trends(left) == []


def test_two_datasets_with_one_name_make_no_curve():
    records = [record_of(k_shot=1), record_of(k_shot=5, clip_table="f" * 64)]
    assert trends(records) == []
    assert len(trends([record_of(k_shot=1), record_of(k_shot=5)])) == 1


@pytest.mark.parametrize("kind", NAMED)
def test_validation_of_one_upstream_chooses_for_that_one_alone(tmp_path, kind):
    facts, good, bad = NAMED[kind]
    records = write(tmp_path, facts, splits=("validation", "test"), strengths=(0.1, 1.0)).records
    rows = {row[0].text: row for row in chosen_grid(records).rows}
    assert set(rows) == {good, bad}
    for name, key in ((good, "good"), (bad, "bad")):
        own = [r for r in records if r["upstream"].items() >= facts[key].items()]
        validated = [r["accuracy"]["mean"] for r in own if r["identity"]["protocol"]["split"] == "validation"]
        assert rows[name][4].text == f"{100 * max(validated):.2f}"


def test_compare_matches_each_revision_with_itself(tmp_path):
    before = write(tmp_path / "before", TWO_REVISIONS, shots=(1, 5))
    after = write(tmp_path / "after", TWO_REVISIONS, shots=(1, 5))
    found = compare_folders(before, after)
    assert sorted(move.upstream for move in found.moves) == ["hubert (new)"] * 2 + ["hubert (old)"] * 2
    assert all(move.identical for move in found.moves)
    assert found.notes == ()


def test_compare_calls_a_new_revision_by_both_names(tmp_path):
    facts = {"first": {"name": "hubert", "revision": "old"}, "second": {"name": "hubert", "revision": "new"}}
    before = write(tmp_path / "before", facts, {"first": 2.0, "beta": 1.0})
    after = write(tmp_path / "after", facts, {"second": 0.3, "beta": 1.0})
    moved = {move.upstream: move for move in compare_folders(before, after).moves}
    assert set(moved) == {"hubert (old) → hubert (new)", "beta"}
    assert moved["hubert (old) → hubert (new)"].after > moved["hubert (old) → hubert (new)"].before


def test_compare_says_which_results_it_cannot_tell_apart(tmp_path):
    # Two extractions of one revision differ in their embeddings alone.
    one = {"good": {"name": "hubert", "revision": "1"}, "bad": {"name": "hubert", "revision": "1"}}
    before = write(tmp_path / "before", one, {"good": 0.3, "bad": 2.5, "beta": 1.0})
    after = write(tmp_path / "after", one, {"good": 0.3, "beta": 1.0})
    found = compare_folders(before, after)
    assert [move.upstream for move in found.moves] == ["beta"]
    assert any("2 results for upstream 'hubert' on dataset 'esc'" in note for note in found.notes)


@pytest.mark.parametrize("kind", NAMED)
def test_exports_have_a_file_for_each_upstream(tmp_path, kind):
    facts, good, bad = NAMED[kind]
    records = write(tmp_path / "results", facts).records
    write_exports(records, tmp_path / "out")
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in (tmp_path / "out" / "mteb").iterdir()]
    assert sorted((d["model_name"], d["model_revision"], len(d["task_results"])) for d in documents) == sorted(
        (r["upstream"]["name"], r["upstream"]["revision"], 1) for r in records
    )
    cards = [path.read_text(encoding="utf-8") for path in (tmp_path / "out" / "model-index").iterdir()]
    assert sorted(card.splitlines()[1] for card in cards) == sorted(f'- name: "{name}"' for name in (good, bad))


@pytest.mark.parametrize(
    "upstreams",
    [
        [{"name": "a"}, {"name": "a", "revision": "1"}],
        [{"name": "a", "revision": "0123456789abcdef"}, {"name": "a", "revision": "0123456789abXXXX"}],
        [{"name": "a", "revision": "no revision"}, {"name": "a"}],
        [{"name": "a (1)"}, {"name": "a", "revision": "1"}, {"name": "a", "revision": "2"}],
        [{"name": "b", "title": "t", "revision": "a"}, {"name": "a", "title": "t"}, {"name": "a, a", "title": "t"}],
    ],
)
def test_no_two_upstreams_have_one_name(upstreams):
    records = [{"upstream": upstream, "view": {"name": "last.mean"}} for upstream in upstreams]
    names = UpstreamNames(records)
    assert len({names.of(record) for record in records}) == len(upstreams)
    assert len({names.with_view(record) for record in records}) == len(upstreams)


def test_one_csv_of_several_conditions_tells_them_apart():
    records = [
        record_of(name, "esc", mean, k_shot=k) for name, k, mean in (("a", 1, 0.5), ("b", 1, 0.25), ("a", 5, 0.75))
    ]
    records.append(record_of("a", "average", 0.125, k_shot=5))
    header, *rows = csv.reader(io.StringIO(csv_of_boards(leaderboards(records))))
    assert len(rows) == len({tuple(row[:2]) for row in rows}) == 3
    esc, other = header.index("esc"), header.index("average")  # a dataset may have any name
    found = {(row[0].split(",")[0], row[1]): (row[esc], row[other]) for row in rows}
    assert found == {
        ("5-way 1-shot", "a"): ("0.5", ""),
        ("5-way 1-shot", "b"): ("0.25", ""),
        ("5-way 5-shot", "a"): ("0.75", "0.125"),
    }
