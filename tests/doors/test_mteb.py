"""mteb's own task class against this project's records, where mteb is installed: `make test-door-mteb`."""

import json
import warnings

import numpy as np
import pytest

from benchmarks.tools.mteb_task import run_mteb
from jfewshot.reporting.exports import mteb_json
from jfewshot.results import read_results
from jfewshot.run import main
from jfewshot.statistics.classification import MTEB_SCORES
from jfewshot.store import create_store
from tests.doors.driving_mteb import FIXTURE, SIZES, is_test, small_dataset

ModelResult = pytest.importorskip("mteb.results.model_result", reason="needs mteb (make test-door-mteb)").ModelResult


@pytest.fixture(scope="module")
def live():
    """What mteb itself gives for a dataset, which is computed once."""
    known = {}

    def get(name, form, seed=0):
        if (name, form, seed) not in known:
            labels, embeddings = small_dataset(name, seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of 100 iterations that do not converge
                test = is_test(labels) if form == "splits" else None
                known[name, form, seed] = run_mteb(labels, embeddings, test)
        return known[name, form, seed]

    return get


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("form", ["splits", "folds"])
def test_the_fixture_is_what_mteb_gives(live, name, form):
    kept, found = json.loads(FIXTURE.read_text())[f"{name}-{form}"], live(name, form)
    assert found["support"] == kept["support"]
    assert found["scores"]["accuracy"] == pytest.approx(kept["scores"]["accuracy"], abs=0.05)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("form", ["splits", "folds"])
def test_the_faithful_command_gives_mtebs_scores(live, tmp_path, name, form):
    labels, embeddings = small_dataset(name, seed=7)
    splits = np.where(is_test(labels), "test", "train") if form == "splits" else None
    ids = [f"clip {number * 7919 % 1000:03}" for number in range(len(labels))]  # not in the order of the dataset
    names = [f"class {c}" for c in labels]
    create_store(tmp_path / "store", embeddings, names, clip_ids=ids, splits=splits, dataset="d", upstream="u")
    arguments = ["--protocol", "mteb_faithful", "--stores", str(tmp_path / "store"), "--out", str(tmp_path / "out")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main([*arguments, "--no-compile-cache"]) == 0
    (record,) = read_results(tmp_path / "out").records
    (tmp_path / "u.json").write_text(mteb_json([record]))
    (result,) = ModelResult.from_disk(tmp_path / "u.json").task_results
    assert result.get_score([form.replace("splits", "test").replace("folds", "train")]) == pytest.approx(
        record["accuracy"]["mean"]
    )
    found = live(name, form, 7)
    experiments = record["mteb"]["experiments"]
    assert [one["iterations"] for one in experiments] == found["iterations"]
    for ours, theirs in zip(experiments, found["scores"]["scores_per_experiment"], strict=True):
        for score in MTEB_SCORES:
            # The same machine and the same BLAS: also where scikit-learn stops early, up to its threads.
            assert ours[score] == (theirs[score] if theirs[score] is None else pytest.approx(theirs[score], abs=1e-12))
    assert record["accuracy"]["mean"] == pytest.approx(found["scores"]["accuracy"], abs=1e-12)
