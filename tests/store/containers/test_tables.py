"""Tables and archives of others as stores: Feather, Hugging Face's folders, Zarr."""

import json

import datasets
import numpy as np
import pandas
import polars
import pyarrow
import pyarrow.feather
import pytest

from jfewshot.errors import UserError
from jfewshot.store.containers.annotating import annotate_with
from jfewshot.store.containers.kinds import kind_of
from jfewshot.store.containers.taking import Taking
from jfewshot.store.creating import create_from_files
from jfewshot.store.importing import import_store

RNG = np.random.default_rng(11)
VECTORS = RNG.standard_normal((4, 3)).astype(np.float32)
COLUMNS = {"path": ["a.wav", "b.wav", "c.wav", "d.wav"], "label": ["x", "y", "x", "y"], "site": ["A", "B", "A", "B"]}
NAMES = {"dataset": "d", "upstream": "u"}


def saved(folder, part=slice(None), **changes):
    """A Dataset with a ClassLabel and an embedding column, as `datasets` makes it."""
    features = datasets.Features(
        label=datasets.ClassLabel(names=["x", "y"]),
        site=datasets.Value("string"),
        embedding=datasets.List(datasets.Value("float32"), length=3),
    )
    rows = {"label": [0, 1, 0, 1], "site": COLUMNS["site"], "embedding": VECTORS.tolist()} | changes
    return datasets.Dataset.from_dict({name: values[part] for name, values in rows.items()}, features=features)


@pytest.mark.parametrize("write", ["pandas", "polars", "stream"])
def test_feather_and_arrow_files_are_tables(tmp_path, write):
    path = tmp_path / ("birds.arrow" if write == "stream" else "birds.feather")
    rows = {**COLUMNS, "vector": list(VECTORS)}
    if write == "pandas":
        pandas.DataFrame(rows).to_feather(path)
    elif write == "polars":
        polars.DataFrame({**rows, "vector": VECTORS}).write_ipc(path)
    else:
        table = pyarrow.table({**COLUMNS, "vector": VECTORS.tolist()})
        with pyarrow.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)
    store = import_store(tmp_path / "s", path, columns=["site"], **NAMES)
    np.testing.assert_array_equal(store.view("last.mean"), VECTORS)
    assert store.clips.clip_id.tolist() == COLUMNS["path"]
    assert store.clips.class_name.tolist() == COLUMNS["label"]
    assert store.clips.further["site"].tolist() == COLUMNS["site"]
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(UserError, match="is not a whole Feather or Arrow file"):
        import_store(tmp_path / "no", path, **NAMES)


def test_a_dataset_of_hugging_face_keeps_its_class_names(tmp_path):
    saved(tmp_path).save_to_disk(tmp_path / "birds", num_shards=2)
    store = import_store(tmp_path / "s", tmp_path / "birds", columns=["site"], **NAMES)
    assert store.clips.class_name.tolist() == COLUMNS["label"]
    assert store.clips.clip_id.tolist() == [f"{row:08d}" for row in range(4)]
    np.testing.assert_array_equal(store.view("last.mean"), VECTORS)
    saved(tmp_path).to_parquet(tmp_path / "birds.parquet")
    assert (
        import_store(tmp_path / "p", tmp_path / "birds.parquet", **NAMES).clips.class_name.tolist() == COLUMNS["label"]
    )
    missing = saved(tmp_path, label=[0, 1, None, -1])
    missing.save_to_disk(tmp_path / "missing")
    with pytest.raises(UserError, match="clip '00000002' has no class"):
        import_store(tmp_path / "no", tmp_path / "missing", **NAMES)
    kept = import_store(tmp_path / "k", tmp_path / "missing", unlabelled=True, **NAMES)
    assert kept.clips.class_name.tolist() == ["x", "y", "", ""]


def test_splits_of_hugging_face_become_splits(tmp_path):
    parts = {"train": saved(tmp_path, slice(0, 3)), "valid": saved(tmp_path, slice(3, 4))}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "birds")
    store = import_store(tmp_path / "s", tmp_path / "birds", **NAMES)
    assert store.clips.clip_id.tolist() == ["train/00000000", "train/00000001", "train/00000002", "valid/00000000"]
    assert store.clips.split.tolist() == ["train"] * 3 + ["validation"]
    np.testing.assert_array_equal(store.view("last.mean"), VECTORS)


def test_damaged_folders_of_hugging_face_are_refused(tmp_path):
    folder = tmp_path / "birds"
    saved(tmp_path).save_to_disk(folder)
    data = next(folder.glob("*.arrow"))
    whole = data.read_bytes()
    data.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="is not a whole Arrow file of `datasets`"):
        import_store(tmp_path / "no", folder, **NAMES)
    data.write_bytes(b"")
    with pytest.raises(UserError, match="is not a whole Arrow file of `datasets`"):
        import_store(tmp_path / "no", folder, **NAMES)
    data.write_bytes(whole)
    state = (folder / "state.json").read_text()
    (folder / "state.json").write_text(json.dumps({"_data_files": 3}))
    with pytest.raises(UserError, match=r"state\.json names no files of data"):
        import_store(tmp_path / "no", folder, **NAMES)
    (folder / "state.json").write_text(state[:-9])
    with pytest.raises(UserError, match=r"state\.json cannot be read"):
        import_store(tmp_path / "no", folder, **NAMES)
    with pytest.raises(UserError, match=r"has neither state\.json nor dataset_dict\.json"):
        import_store(tmp_path / "no", tmp_path, kind="hf", **NAMES)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.filterwarnings("ignore")  # zarr says that texts of variable length have no specification in format 3
def test_a_group_of_zarr_is_an_archive(tmp_path, version):
    zarr = pytest.importorskip("zarr", reason="needs zarr")
    path = tmp_path / "birds.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=version)
    group.create_array("X", data=VECTORS)
    for name, values in (("y", COLUMNS["label"]), ("site", COLUMNS["site"])):
        group.create_array(name, data=np.array(values))
    store = import_store(tmp_path / "s", path, columns=["site"], **NAMES)
    np.testing.assert_array_equal(store.view("last.mean"), VECTORS)
    assert store.clips.class_name.tolist() == COLUMNS["label"]
    assert store.clips.further["site"].tolist() == COLUMNS["site"]
    chunk = max((one for one in (path / "X").rglob("*") if one.is_file()), key=lambda one: one.name != "zarr.json")
    (path / "X" / ("zarr.json" if version == 3 else ".zarray")).write_text("{")
    with pytest.raises(UserError, match="is not a whole group of Zarr"):
        import_store(tmp_path / "no", path, **NAMES)
    assert chunk.exists()


def test_kinds_are_told_by_what_is_there(tmp_path):
    for name, kind in (("a.parquet", "parquet"), ("a.NPZ", "npz"), ("a.feather", "feather"), ("a.csv", None)):
        assert kind_of(tmp_path / name) == kind
    (tmp_path / "task_metadata.json").write_text("{}")
    assert kind_of(tmp_path) == "hear"
    np.savez(tmp_path / "a.npz", X=VECTORS, y=np.array(COLUMNS["label"]))
    with pytest.raises(UserError, match="is a file, and not a folder that Hugging Face's `datasets` saved"):
        import_store(tmp_path / "no", tmp_path / "a.npz", kind="hf", **NAMES)


def test_create_names_import_for_a_container(tmp_path):
    saved(tmp_path).save_to_disk(tmp_path / "birds")
    (tmp_path / "labels.csv").write_text("class\nx\n")
    with pytest.raises(
        UserError, match=r"is a folder that Hugging Face's .* `jfewshot store import hf PATH` makes the store"
    ):
        create_from_files(tmp_path / "no", tmp_path / "birds", tmp_path / "labels.csv", **NAMES)


def test_what_a_container_has_no_use_for_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", X=VECTORS, y=np.array(COLUMNS["label"]))
    with pytest.raises(
        UserError, match=r"--several is for windows of recordings, and an \.npz file of NumPy holds clips"
    ):
        import_store(tmp_path / "no", tmp_path / "a.npz", taking=Taking(several="rarest"), **NAMES)
    with pytest.raises(UserError, match="--annotations labels windows of recordings"):
        import_store(tmp_path / "no", tmp_path / "a.npz", annotations=annotate_with("raven:x"), **NAMES)
    with pytest.raises(UserError, match="--annotation-columns names columns of --annotations, which is not given"):
        annotate_with("", ["label=x"])
