"""The Python entry: its documented example, and that it says what the command line says."""

import doctest
import os

import numpy as np
import pytest

import jfewshot.api
import jfewshot.store.creating
from jfewshot import run
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.results import read_results
from tests.synthetic_stores import make_store


def test_documented_examples_run():
    for module in (jfewshot.api, jfewshot.store.creating):
        result = doctest.testmod(module, raise_on_error=True)
        assert result.failed == 0
    assert doctest.testmod(jfewshot.api).attempted > 0


def test_numpys_numbers_name_the_same_results_as_pythons(tmp_path):
    store = make_store(tmp_path / "s")
    mine = jfewshot.evaluate(
        store, shots=1, n_query=2, n_episodes=20, seed=3, classifiers="centroid", out=tmp_path / "a"
    )
    theirs = jfewshot.evaluate(
        store,
        ways=np.int64(5),
        shots=np.array([1]),
        n_query=np.int32(2),
        n_episodes=np.int64(20),
        seed=np.uint8(3),
        classifiers="centroid",
        out=tmp_path / "b",
    )
    assert [record["key"] for record in theirs] == [record["key"] for record in mine]
    assert len(read_results(tmp_path / "b").records) == 1
    with pytest.raises(UserError, match="classifiers is empty"):
        jfewshot.evaluate(store, classifiers=[])


@pytest.mark.parametrize("classifier", ["svm:C=1e30", "logistic:C=1e-30", "logistic:C=1e30"])
def test_embeddings_that_are_all_one_vector_give_a_record_that_json_can_hold(tmp_path, classifier):
    store = make_store(tmp_path / "s", views={"last.mean": np.ones((30, 2), np.float32)})
    (record,) = jfewshot.evaluate(store, n_query=2, n_episodes=20, classifiers=classifier, out=tmp_path / "r")
    assert read_results(tmp_path / "r").records == (record,)
    assert np.isfinite(list(record["solver"].values())).all()


def test_an_array_that_was_edited_between_two_calls_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(48, 8)).astype(np.float32)
    store = jfewshot.create_store(tmp_path / "s", x, np.repeat(list("abcdef"), 8), dataset="d", upstream="u")
    evaluator = Evaluator()
    options = {"n_episodes": 20, "n_query": 2, "evaluator": evaluator}
    before = jfewshot.evaluate(store, **options)[0]
    path = store.view_path(store.views[0])
    edited = np.load(path, mmap_mode="r+")
    edited[:] = edited[::-1].copy()
    edited.flush()
    del edited
    os.utime(path)  # some file systems note the time of such a change late
    with pytest.raises(UserError, match=path.name):
        jfewshot.evaluate(store, **options)
    np.save(path, x)
    again = jfewshot.evaluate(store, **options)[0]
    np.testing.assert_array_equal(again["predicted"], before["predicted"])


@pytest.mark.parametrize(
    ("shots", "value"), [(1, 1.0), ([1], 1.0), (5, "auto"), ([1, 5], "auto"), (np.array([2]), "auto")]
)
def test_without_a_classifier_it_is_logistic_at_one_shot_and_ridge_of_a_chosen_strength_beyond(
    tmp_path, monkeypatch, shots, value
):
    cells = []
    monkeypatch.setattr(jfewshot.api, "evaluate_cells", lambda planned, *_: cells.extend(planned) or ())
    store = make_store(tmp_path / "s")
    jfewshot.evaluate(store, shots=shots, n_query=1)
    typed = "logistic" if value == 1.0 else "ridge:alpha=auto"
    jfewshot.evaluate(store, shots=shots, n_query=1, classifiers=typed)
    assert {strength for cell in cells for strength in cell.spec.strengths} == {value}
    half = len(cells) // 2
    keys = [cell.key(value) for cell in cells]
    assert keys[:half] == keys[half:], "the default is written into the identity as if it had been typed"


def test_arrays_in_memory_give_the_numbers_of_a_store(tmp_path):
    rng = np.random.default_rng(0)
    labels, groups = np.repeat(list("abcdef"), 12), np.tile(["s1", "s2", "s3"], 24)
    x = (np.repeat(rng.normal(size=(6, 16)), 12, 0) + rng.normal(size=(72, 16))).astype(np.float32)
    options = {"shots": [1, 2], "n_query": 3, "n_episodes": 40, "classifiers": ["centroid", "ridge:alpha=0.1,1"]}
    store = jfewshot.create_store(tmp_path / "s", x, labels, groups=groups, dataset="d", upstream="u")
    through_store = jfewshot.evaluate(store, group_aware=True, **options)
    direct = jfewshot.evaluate_arrays(x, labels, groups, **options)
    assert [one["accuracy"] for one in direct] == [one["accuracy"] for one in through_store]
    assert [one["solver"] for one in direct] == [one["solver"] for one in through_store]
    assert [(one["k_shot"], one["classifier"]) for one in direct] == [
        (k_shot, name) for k_shot in (1, 2) for name in ("centroid", "ridge", "ridge")
    ]
    assert [one["strength"] for one in direct[:3]] == [
        None,
        {"name": "alpha", "value": 0.1},
        {"name": "alpha", "value": 1.0},
    ]
    without = jfewshot.create_store(tmp_path / "w", x, labels, dataset="d", upstream="u")
    ignored = jfewshot.evaluate_arrays(x, labels, **options)
    assert [one["accuracy"] for one in ignored] == [one["accuracy"] for one in jfewshot.evaluate(without, **options)]
    assert ignored[0]["accuracy"] != direct[0]["accuracy"]


def test_arrays_of_several_segments_a_clip_give_the_numbers_of_a_store(tmp_path):
    rng = np.random.default_rng(1)
    labels = np.repeat(list("abcde"), 6)
    clips = [rng.normal(size=(n, 8)).astype(np.float32) for n in rng.integers(1, 4, len(labels))]
    options = {"n_query": 2, "n_episodes": 20, "classifiers": "centroid", "query_segments": "mean"}
    store = jfewshot.create_store(tmp_path / "s", clips, labels, dataset="d", upstream="u")
    (through_store,) = jfewshot.evaluate(store, **options)
    (direct,) = jfewshot.evaluate_arrays(clips, labels, **options)
    assert direct["accuracy"] == through_store["accuracy"]


def test_arrays_that_cannot_be_evaluated_are_refused_in_a_line():
    x, labels = np.ones((10, 4), np.float32), list("aabbccddee")
    with pytest.raises(UserError, match="'center' takes statistics from training clips; make a store"):
        jfewshot.evaluate_arrays(x, labels, preprocessing="center")
    with pytest.raises(UserError, match="unknown preprocessing 'l3'"):
        jfewshot.evaluate_arrays(x, labels, preprocessing="l3")
    with pytest.raises(UserError, match="the arrays: class 'a' has 2 clips"):
        jfewshot.evaluate_arrays(x, labels)
    with pytest.raises(UserError, match="embeddings holds 2 arrays"):
        jfewshot.evaluate_arrays({"a.mean": x, "b.mean": x}, labels)
    with pytest.raises(UserError, match="NaN or infinite"):
        jfewshot.evaluate_arrays(x * np.nan, labels)


@pytest.mark.parametrize(
    "options",
    [
        {"query_balance": "dirichlet:2", "n_query": 3},
        {"small_classes": "leave", "n_query": 6, "shots": [1, 3]},
        {"small_classes": "stop", "n_query": 2, "shots": [1, 3, 9]},
    ],
)
def test_arrays_take_the_settings_of_a_store_s_protocol(tmp_path, options):
    rng = np.random.default_rng(2)
    labels = np.repeat(list("abcdefg"), [24, 24, 24, 24, 24, 24, 5])
    x = (rng.normal(size=(7, 8))[np.unique(labels, return_inverse=True)[1]] + rng.normal(size=(149, 8))).astype("f4")
    if options["n_query"] == 3:
        labels, x = labels[:-5], x[:-5]
    options |= {"ways": 4, "n_episodes": 30, "classifiers": "centroid"}
    store = jfewshot.create_store(tmp_path / "s", x, labels, dataset="d", upstream="u")
    through_store = jfewshot.evaluate(store, **options)
    direct = jfewshot.evaluate_arrays(x, labels, **options)
    assert [one["k_shot"] for one in direct] == [one["identity"]["protocol"]["k_shot"] for one in through_store]
    for name in ("accuracy", "metrics"):
        assert [one.get(name) for one in direct] == [one.get(name) for one in through_store]
    assert ("metrics" in direct[0]) == ("query_balance" in options)


def test_statistics_that_no_preprocessing_uses_are_refused(tmp_path):
    x, labels = np.eye(12, dtype=np.float32), np.repeat(list("abc"), 4)
    store = jfewshot.create_store(tmp_path / "s", x, labels, dataset="d", upstream="u")
    for given in ({"transductive": True}, {"shrinkage": 0.5, "preprocessing": "none"}, {"statistics_from": "shipped"}):
        with pytest.raises(
            UserError, match=f"{next(iter(given))} is given, and preprocessing '(l2|none)' uses no statistics"
        ):
            jfewshot.evaluate(store, ways=3, n_query=1, **given)


def test_protocols_have_the_names_of_the_command_line(tmp_path):
    rng = np.random.default_rng(3)
    labels = np.repeat(list("abcdef"), 20)
    x = (np.repeat(rng.normal(size=(6, 8)), 20, 0) + 2 * rng.normal(size=(120, 8))).astype(np.float32)
    store = jfewshot.create_store(tmp_path / "s", x, labels, dataset="d", upstream="u")
    (paper,) = jfewshot.evaluate(store, protocol="paper", n_episodes=40)
    (same,) = jfewshot.evaluate(store, classifiers="sgd", n_query=1, n_episodes=40)
    assert paper["identity"] == same["identity"]
    (mteb,) = jfewshot.evaluate(store, protocol="mteb", n_episodes=6)
    arguments = ["--stores", str(tmp_path / "s"), "--protocol", "mteb", "--episodes", "6"]
    assert run.main([*arguments, "--out", str(tmp_path / "out"), "--quiet"]) in (0, None)
    (typed,) = read_results(tmp_path / "out").records
    assert mteb["identity"] == typed["identity"]
    assert mteb["accuracy"] == typed["accuracy"]
    for given in (
        {"ways": 3},
        {"group_aware": True},
        {"classifiers": "ridge"},
        {"preprocessing": "l2"},
        {"shrinkage": 0.1},
    ):
        with pytest.raises(UserError, match=f"protocol 'mteb' fixes what {next(iter(given))} sets; leave"):
            jfewshot.evaluate(store, protocol="mteb", **given)
