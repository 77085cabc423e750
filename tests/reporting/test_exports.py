import io
import json

import numpy as np
import pytest

from jfewshot.reporting.exports import file_names, model_index, mteb_json, tidy_csv, tidy_rows, write_exports
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


def test_the_mteb_like_file_has_a_score_per_split():
    document = json.loads(mteb_json(records()[:2]))
    assert document["model_name"] == "encoder: α"
    assert [task["task_name"] for task in document["task_results"]] == ["esc-5way-1shot", "words-5way-1shot"]
    assert document["task_results"][1]["scores"]["test"][0]["main_score"] == 0.5


def test_file_names_are_safe_and_distinct():
    names = file_names(["a/b", "a b", "A-B", "../..", "鳥", "x" * 200, "NUL", "com1.x"])
    # Windows keeps these two for devices.
    assert (names["NUL"], names["com1.x"]) == ("_NUL", "_com1.x")
    assert names["a/b"] == "a-b"
    assert names["鳥"] == "鳥"
    assert len({name.casefold() for name in names.values()}) == 8
    assert not any("/" in name or name.startswith(".") for name in names.values())
    assert max(map(len, names.values())) <= 80
