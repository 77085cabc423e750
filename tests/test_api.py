"""The Python entry: its documented example, and that it says what the command line says."""

import doctest
import os

import numpy as np
import pytest

import jfewshot.api
import jfewshot.store.creating
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
def test_without_a_classifier_c_is_one_at_one_shot_and_chosen_beyond(tmp_path, monkeypatch, shots, value):
    cells = []
    monkeypatch.setattr(jfewshot.api, "evaluate_cells", lambda planned, *_: cells.extend(planned) or ())
    store = make_store(tmp_path / "s")
    jfewshot.evaluate(store, shots=shots, n_query=1)
    typed = "logistic" if value == 1.0 else "logistic:C=auto"
    jfewshot.evaluate(store, shots=shots, n_query=1, classifiers=typed)
    assert {strength for cell in cells for strength in cell.spec.strengths} == {value}
    half = len(cells) // 2
    keys = [cell.key(value) for cell in cells]
    assert keys[:half] == keys[half:], "the default is written into the identity as if it had been typed"
