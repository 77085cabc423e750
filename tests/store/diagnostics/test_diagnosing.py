"""All of it for stores: the command, its JSON, samples, stores that cannot be used."""

import json

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.store import ClipTable, open_store
from jfewshot.store.__main__ import main
from jfewshot.store.diagnostics.describing import describe_diagnosis
from jfewshot.store.diagnostics.diagnosing import diagnose_stores
from jfewshot.store.diagnostics.spectrum import effective_rank, mean_cosine, principal
from tests.synthetic_stores import clip_table, embeddings, make_store


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Two encoders of the same clips, and one of other clips; one clip is there twice, and one has a wrong label."""
    folder = tmp_path_factory.mktemp("stores")
    table = clip_table((30, 30, 30), groups_of=10)
    rows = table.rows(np.arange(90))[0]
    first, second = (embeddings(table, 16, spread=0.3, seed=seed)[rows] for seed in (0, 1))
    of_class = [np.flatnonzero(table.class_name == f"class{number}") for number in range(3)]
    other = next(clip for clip in of_class[0] if table.group[clip] != table.group[of_class[0][0]])
    for x in (first, second):
        x[other] = x[of_class[0][0]] + 0.001
    labels = table.class_name.tolist()
    labels[of_class[1][3]] = "class2"
    table = ClipTable.build(table.clip_id.tolist(), labels, table.group.tolist(), n_segments=table.n_segments.tolist())
    one = make_store(folder / "birds" / "one", table, upstream="one", views={"last.mean": first})
    two = make_store(folder / "birds" / "two", table, upstream="two", views={"last.mean": second, "0.mean": first})
    frogs = make_store(folder / "frogs" / "one", clip_table((12, 12)), dataset="frogs", upstream="one")
    return folder, one, two, frogs, (table.clip_id[of_class[0][0]], table.clip_id[other]), table.clip_id[of_class[1][3]]


def test_stores_of_the_same_clips_are_diagnosed_together(stores):
    _, one, two, frogs, twice, wrong = stores
    birds, others = diagnose_stores([one, frogs, two])
    assert [space.title for space in birds.spaces] == ["one", "two"]
    assert others.dataset == "frogs"
    assert others.n_drawn == 24
    first = birds.near_copies[0]
    assert {first.first.clip_id, first.second.clip_id} == set(twice)
    assert first.first.group != first.second.group
    assert [(one.clip.clip_id, one.clip.label, one.given_to) for one in birds.suspects] == [(wrong, "class2", "class1")]
    assert birds.asked == ("one", "two")
    view = one.view("last.mean")[one.clips.rows(np.arange(90))[0]]
    x = view / np.linalg.norm(view, axis=1, keepdims=True)
    assert birds.spaces[0].mean_cosine == pytest.approx(mean_cosine(x), abs=1e-5)
    assert birds.spaces[0].effective_rank == pytest.approx(effective_rank(principal(x).variances), rel=1e-4)
    assert sum(birds.spaces[0].spectrum) == pytest.approx(1)


def test_views_of_a_store_are_compared_with_each_other(stores):
    (found,) = diagnose_stores([stores[2]], ["last.mean", "0.mean"])
    assert [space.title for space in found.spaces] == ["two (last.mean)", "two (0.mean)"]
    assert found.cka[0, 0] == pytest.approx(1)
    assert found.cka[0, 1] == pytest.approx(found.cka[1, 0])
    assert found.cka[0, 1] < 0.999


def test_the_command_says_it_in_words_and_as_json(stores, capsys):
    folder, _, _, _, twice, wrong = stores
    assert main(["inspect", str(folder / "birds"), "--diagnose"]) == 0
    said = capsys.readouterr().out
    assert "dataset   birds" in said
    assert "effective rank" in said
    assert all(clip in said for clip in (*twice, wrong))
    assert main(["inspect", str(folder), "--diagnose", "--json", "--sample", "60"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [manifest["upstream"]["name"] for manifest in found["stores"]] == ["one", "two", "one"]
    birds, frogs = found["diagnostics"]
    assert (birds["clips"], birds["clips_drawn"], frogs["clips_drawn"]) == (90, 60, 24)
    assert np.shape(birds["similarity"]["linear_cka"]) == (2, 2)
    assert birds["spaces"][0]["hubness"]["k"] == 10


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["--views", "last.mean"], "add it"), (["--diagnose", "--sample", "1"], "2 clips")],
)
def test_options_that_make_no_sense_are_refused(stores, arguments, complaint):
    with pytest.raises(UserError, match=complaint):
        main(["inspect", str(stores[0]), *arguments])


def test_clips_without_a_direction_are_left_out_and_counted(tmp_path):
    table = clip_table((10, 10))
    x = embeddings(table, 6)
    x[[3, 5]] = 0
    store = make_store(tmp_path / "a", table, views={"last.mean": x})
    (found,) = diagnose_stores([store])
    assert (found.n_clips, found.n_drawn, found.spaces[0].without_direction) == (20, 18, 2)
    assert "2 clips have no direction" in describe_diagnosis(found)
    broken = make_store(tmp_path / "b", table, views={"last.mean": np.full_like(x, np.nan)})
    with pytest.raises(UserError, match="0 of 20 clips"):
        diagnose_stores([broken])


def test_a_store_without_labels_has_no_measure_of_labels(tmp_path):
    table = ClipTable.build([f"c{n:02d}" for n in range(30)], [""] * 30, unlabelled=True)
    x = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    make_store(tmp_path / "a", table, views={"last.mean": x})
    (found,) = diagnose_stores([open_store(tmp_path / "a")])
    assert found.spaces[0].silhouette is None
    assert found.as_json()["spaces"][0]["label_alignment"] is None
    assert "wrong labels were not searched for" in describe_diagnosis(found)


def test_a_few_equal_clips_break_nothing(tmp_path):
    store = make_store(tmp_path / "a", clip_table((2, 1)), views={"last.mean": np.ones((3, 4), np.float32)})
    (found,) = diagnose_stores([store])
    assert found.spaces[0].effective_rank == 0
    assert found.spaces[0].hubness is None
    assert found.near_copies == ()
    json.dumps(found.as_json(), allow_nan=False)
