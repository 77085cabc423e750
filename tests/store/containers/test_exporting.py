"""Stores as saved datasets and as Hoplite databases, and back."""

import json
import logging
import os
import sqlite3
import subprocess

import datasets
import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.store import create_store, open_store
from jfewshot.store.__main__ import main
from jfewshot.store.containers.taking import Taking
from jfewshot.store.exporting import export_store
from jfewshot.store.importing import import_store

READ_WITH_HOPLITE = """
import json, sys
from perch_hoplite.db import sqlite_usearch_impl
database = sqlite_usearch_impl.SQLiteUSearchDB.create(sys.argv[1], readonly=True)
rows = []
for window in database.get_all_windows(include_embedding=True):
    recording = database.get_recording(window.recording_id)
    heard = [one.label for one in database.get_window_annotations(window.id)]
    deployment = database.get_deployment(recording.deployment_id).name if recording.deployment_id else ""
    place = [recording.filename, deployment, *window.offsets, window.clip_id, window.clip_group]
    rows.append([*place, heard, window.embedding.astype(float).tolist()])
print(json.dumps([rows, database.count_each_label(), database.get_metadata("model_config").to_dict()]))
"""


def make_store(path, dtype=np.float16):
    """Stretches of a recording, a clip of three segments and one without a class; columns with names that SQL would not take."""
    rows = np.random.default_rng(3).standard_normal((7, 6)).astype(dtype)
    return create_store(
        path,
        {"last.mean": rows},
        ["owl, grey", "lark – 鳥", "owl, grey", "", "lark – 鳥"],
        dataset={"name": "birds", "licence": "CC0"},
        upstream={"name": "mine", "revision": "sha256:00"},
        clip_ids=["dawn.wav:0-5", "dawn.wav:5-10", "noon.wav", "dusk.wav", "dawn.wav:12.5-17.5"],
        groups=["dawn.wav", "dawn.wav", "noon.wav", "", "dawn.wav"],
        splits=["train", "test", "test", "train", "test"],
        further={"deployment": ["A", "A", "B", "", "A"], "signal to noise": list("12345"), "id": list("abcde")},
        n_segments=[1, 1, 3, 1, 1],
        unlabelled=True,
        sample_rate=16_000,
        segment_samples=80_000,
    )


def assert_same(back, store, rows=True):
    """Clips, groups, labels, further columns and facts are the same, and the rows."""
    assert back.clips.digest == store.clips.digest
    assert back.clips.segments_digest == store.clips.segments_digest
    for name, column in store.clips.further.items():
        assert back.clips.further[name].tolist() == column.tolist()
    kept = ("dataset", "upstream", "sample_rate", "segment_samples", "counts")
    assert {name: back.manifest[name] for name in kept} == {name: store.manifest[name] for name in kept}
    for name in store.views if rows else ():
        assert back.view_digest(name) == store.view_digest(name)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_saved_dataset_is_what_datasets_loads_and_comes_back(tmp_path, dtype):
    store = make_store(tmp_path / "s", dtype)
    assert main(["export", "hf", str(store.path), "--out", str(tmp_path / "hf")]) == 0
    loaded = datasets.load_from_disk(str(tmp_path / "hf")).with_format("numpy")
    assert loaded["clip_id"][:].tolist()[2:5] == ["noon.wav"] * 3
    assert loaded["segment"][:].tolist() == [0, 0, 0, 1, 2, 0, 0]
    np.testing.assert_array_equal(np.stack(list(loaded["last.mean"])).astype(dtype), store.view("last.mean"))
    assert_same(import_store(tmp_path / "back", tmp_path / "hf"), store)
    with pytest.raises(UserError, match="a finished exported dataset is there already"):
        export_store(store, tmp_path / "hf", kind="hf")
    export_store(store, tmp_path / "hf", kind="hf", replace=True)
    (tmp_path / "hf" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"it holds 'notes\.txt', which belong to no exported dataset"):
        export_store(store, tmp_path / "hf", kind="hf", replace=True)


def test_a_hoplite_database_comes_back_as_the_store(tmp_path):
    pytest.importorskip("usearch", reason="needs usearch")
    store = make_store(tmp_path / "s")
    assert main(["export", "hoplite", str(store.path), "--out", str(tmp_path / "db")]) == 0
    assert main(["import", "hoplite", str(tmp_path / "db"), "--out", str(tmp_path / "back")]) == 0
    assert_same(open_store(tmp_path / "back"), store)
    assert import_store(tmp_path / "other", tmp_path / "db", upstream="theirs").upstream == "theirs"
    assert main(["export", "hoplite", str(store.path), "--out", str(tmp_path / "db"), "--replace"]) == 0
    with pytest.raises(UserError, match="a finished Hoplite database is there already"):
        export_store(store, tmp_path / "db", kind="hoplite")


def test_a_label_that_is_added_in_hoplite_counts(tmp_path):
    pytest.importorskip("usearch", reason="needs usearch")
    export_store(make_store(tmp_path / "s"), tmp_path / "db", kind="hoplite")
    with sqlite3.connect(tmp_path / "db" / "hoplite.sqlite") as database:
        (dusk,) = database.execute("SELECT id FROM recordings WHERE filename = 'dusk.wav'").fetchone()
        database.execute(
            "INSERT INTO annotations (recording_id, offsets, label, label_type, provenance) VALUES (?, ?, 'owl, grey', 1, 'Ann')",
            (dusk, np.array([1.0, 2.0]).tobytes()),
        )
    database.close()
    store = import_store(tmp_path / "t", tmp_path / "db")
    labels = dict(zip(store.clips.clip_id.tolist(), store.clips.class_name.tolist(), strict=True))
    assert labels["dusk.wav:0-5"] == "owl, grey"
    assert len(store.clips) == 7
    own = import_store(tmp_path / "o", tmp_path / "db", taking=Taking(provenance=("jfewshot",)), columns=["clip_split"])
    assert len(own.clips) == 6


def test_what_float16_loses_is_told(tmp_path, caplog):
    pytest.importorskip("usearch", reason="needs usearch")
    store = make_store(tmp_path / "s", np.float32)
    with caplog.at_level(logging.WARNING):
        export_store(store, tmp_path / "db", kind="hoplite")
    x = store.view("last.mean").astype(np.float64)
    lost = (np.linalg.norm(x - x.astype(np.float16), axis=1) / np.linalg.norm(x, axis=1)).max()
    assert f"rounding changes an embedding by up to {lost:.2g} of its length" in caplog.text
    back = import_store(tmp_path / "back", tmp_path / "db")
    assert_same(back, store, rows=False)
    np.testing.assert_array_equal(back.view("last.mean"), store.view("last.mean").astype(np.float16))
    large = create_store(tmp_path / "l", np.full((2, 3), 1e5, np.float32), ["a", "b"], dataset="d", upstream="u")
    with pytest.raises(UserError, match=r"a value is beyond 65,504, the largest of float16"):
        export_store(large, tmp_path / "no", kind="hoplite")
    assert not (tmp_path / "no").exists()


def test_exports_that_cannot_be_are_refused(tmp_path):
    store = make_store(tmp_path / "s")
    two = create_store(
        tmp_path / "two",
        {"0.mean": np.ones((2, 3)), "last.mean": np.ones((2, 3))},
        ["a", "b"],
        dataset="d",
        upstream="u",
    )
    with pytest.raises(UserError, match="'csv' is not a kind of export; the kinds are parquet, npz, hf, hoplite"):
        export_store(store, tmp_path / "x", kind="csv")
    with pytest.raises(UserError, match=r"name a file that ends in \.npz"):
        export_store(store, tmp_path / "x.parquet", kind="npz")
    with pytest.raises(UserError, match="a Hoplite database holds one view"):
        export_store(two, tmp_path / "x", kind="hoplite")
    with pytest.raises(UserError, match="3 paths are given; `jfewshot store export` takes one"):
        main(["export", "hf", "a", "b", "--out", "x"])


def test_perch_hoplite_reads_an_exported_database(tmp_path):
    python = os.environ.get("HOPLITE_1_PYTHON")
    if not python:
        pytest.skip("needs HOPLITE_1_PYTHON (make test-door-databases)")
    store = make_store(tmp_path / "s")
    export_store(store, tmp_path / "db", kind="hoplite")
    done = subprocess.run([python, "-c", READ_WITH_HOPLITE, str(tmp_path / "db")], check=True, capture_output=True)
    rows, labels, model = json.loads(done.stdout)
    clips = store.clips
    wanted = []
    for at in np.argsort(clips.first_segment):
        clip, label = str(clips.clip_id[at]), str(clips.class_name[at])
        recording, _, times = clip.partition(":")
        start = float(times.split("-")[0]) if times else 0.0
        for segment in range(clips.n_segments[at]):
            place = [recording, str(clips.further["deployment"][at]), start + 5 * segment, start + 5 * segment + 5]
            vector = store.view("last.mean")[clips.first_segment[at] + segment].astype(float).tolist()
            wanted.append([*place, clip, str(clips.group[at]), [label] if label else [], vector])
    assert rows == wanted
    assert labels == {"owl, grey": 4, "lark – 鳥": 2}
    assert (model["model_key"], model["embedding_dim"]) == ("mine", 6)
