"""The Python entry: its documented example, and that it says what the command line says."""

import doctest

import numpy as np
import pytest

import jfewshot.api
import jfewshot.store.creating
from jfewshot.errors import UserError
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
