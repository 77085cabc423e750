import io
import json

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.reporting.exports import hub_tasks, model_index, mteb_json, write_exports
from jfewshot.reporting.file_names import file_names
from jfewshot.reporting.hub import check_dataset_id
from jfewshot.reporting.tidy import tidy_csv, tidy_rows
from tests.reporting.synthetic import record_of


def records():
    return [
        record_of("encoder: α", "esc", 1 / 3),
        record_of(
            "encoder: α", "words", 0.5, split="test", strength=None, classifier={"name": "centroid", "metric": "cosine"}
        ),
        record_of("beta", "esc", 0.25),
    ]


def test_the_tidy_table_has_a_typed_row_per_cell():
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(io.StringIO(tidy_csv(tidy_rows(records()))))
    assert len(frame) == 3
    assert frame["accuracy"].dtype == np.float64
    assert frame["k_shot"].dtype == np.int64
    row = frame[(frame.upstream == "encoder: α") & (frame.dataset == "esc")].iloc[0]
    assert row.accuracy == 1 / 3
    assert row.strength_value == 1.0
    assert len(row.embeddings) == 64


def test_parquet_reads_back(tmp_path):
    polars = pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    write_exports(records(), tmp_path)
    frame = polars.read_parquet(tmp_path / "cells.parquet")
    assert frame.height == 3
    assert frame["accuracy"].to_list() == [row["accuracy"] for row in tidy_rows(records())]
    assert frame.schema["group_aware"] == polars.Boolean


def test_the_model_index_is_what_the_hub_reads():
    yaml = pytest.importorskip("yaml")
    repocard_data = pytest.importorskip("huggingface_hub.repocard_data")
    text = model_index(records()[:2])
    index = yaml.safe_load(text)["model-index"]
    assert index[0]["name"] == "encoder: α"
    name, results = repocard_data.model_index_to_eval_results(index)
    assert name == "encoder: α"
    assert [r.dataset_type for r in results] == ["esc", "words"]
    assert results[0].metric_type == "accuracy"
    assert results[0].metric_value == pytest.approx(1 / 3, abs=1e-6)
    assert results[0].metric_args["protocol.k_shot"] == 1
    assert results[1].dataset_split == "test"


def test_the_mteb_file_has_a_score_per_split():
    document = json.loads(mteb_json(records()[:2]))
    assert document["model_name"] == "encoder: α"
    assert [task["task_name"] for task in document["task_results"]] == ["esc-5way-1shot", "words-5way-1shot"]
    assert document["task_results"][1]["scores"]["test"][0]["main_score"] == 0.5
    check_mteb_task_results(document["task_results"])


def check_mteb_task_results(results):
    """The fields that MTEB's `TaskResult` asks for (mteb 2.26), without mteb: `make test-doors` has mteb itself read them."""
    for one in results:
        assert isinstance(one["task_name"], str)
        assert isinstance(one["dataset_revision"], str)
        assert one["mteb_version"] is None
        assert one["evaluation_time"] is None or isinstance(one["evaluation_time"], float)
        for scores in one["scores"].values():
            for score in scores:
                assert isinstance(score["main_score"], float)
                assert isinstance(score["hf_subset"], str)
                # A score without a language counts in no average. This one means: no language at all.
                assert score["languages"] == ["zxx-Zxxx"]


def test_mteb_reads_the_file(tmp_path):
    model_result = pytest.importorskip("mteb.results.model_result")
    write_exports(records(), tmp_path)
    found = model_result.ModelResult.from_disk(tmp_path / "mteb" / "encoder-α.json")
    assert [one.task_name for one in found.task_results] == ["esc-5way-1shot", "words-5way-1shot"]
    assert [one.get_score() for one in found.task_results] == pytest.approx([1 / 3, 0.5])


def test_the_hub_reads_results_and_tasks_of_a_named_dataset(tmp_path):
    yaml = pytest.importorskip("yaml")
    hub = pytest.importorskip("huggingface_hub")
    twice = [*records(), record_of("beta", "esc", 0.75, strength=10.0)]
    write_exports(twice, tmp_path, "me/few-shot")
    read = hub.parse_eval_result_entries(
        yaml.safe_load((tmp_path / "hub" / "beta" / ".eval_results" / "jfewshot.yaml").read_text("utf-8"))
    )
    assert {one.dataset_id for one in read} == {"me/few-shot"}
    assert sorted(one.value for one in read) == pytest.approx([25.0, 75.0])
    assert all("95% interval over episodes" in one.notes for one in read)
    tasks = yaml.safe_load((tmp_path / "hub" / "eval.yaml").read_text("utf-8"))
    check_eval_yaml(tasks)
    # Two strengths are two tasks, and a task of one condition has its short name.
    ids = [task["id"] for task in tasks["tasks"]]
    assert len(ids) == 3
    assert "words-5way-1shot" in ids
    assert {one.task_id for one in read} <= set(ids)
    # Two datasets stay two, though their names make the same id.
    alike = hub_tasks([record_of("beta", "a b"), record_of("beta", "a-b")])
    assert len(set(alike.values())) == 2
    write_exports(twice, tmp_path / "without")
    assert not (tmp_path / "without" / "hub").exists()


def check_eval_yaml(value):
    """The fields of `eval.yaml` in the Hub's documentation ("Evaluation Results", 2026)."""
    assert set(value) == {"name", "description", "evaluation_framework", "tasks"}
    assert all(isinstance(value[name], str) for name in ("name", "description", "evaluation_framework"))
    assert all(set(task) == {"id", "config", "split"} for task in value["tasks"])
    assert len({task["id"] for task in value["tasks"]}) == len(value["tasks"])


@pytest.mark.parametrize("text", ["", "name", "a/b/c", "/b", "a/", "a b/c", "a--b/c", "https://hub/a/b"])
def test_a_dataset_id_that_the_hub_cannot_have_is_refused(text):
    assert check_dataset_id("me/few-shot_1.0") == "me/few-shot_1.0"
    with pytest.raises(UserError, match="must be the id of a dataset of the Hugging Face Hub, USER/NAME"):
        check_dataset_id(text)


def test_file_names_are_safe_and_distinct():
    names = file_names(["a/b", "a b", "A-B", "../..", "鳥", "x" * 200, "NUL", "com1.x"])
    # Windows keeps these two for devices.
    assert (names["NUL"], names["com1.x"]) == ("_NUL", "_com1.x")
    assert names["a/b"] == "a-b"
    assert names["鳥"] == "鳥"
    assert len({name.casefold() for name in names.values()}) == 8
    assert not any("/" in name or name.startswith(".") for name in names.values())
    assert max(map(len, names.values())) <= 80
