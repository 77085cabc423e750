"""Stores as one file, and files of other programs as stores."""

import numpy as np
import pandas
import polars
import pytest

from jfewshot import api
from jfewshot.errors import UserError
from jfewshot.store import create_store, open_store
from jfewshot.store.__main__ import main
from jfewshot.store.exporting import export_store
from jfewshot.store.importing import import_store

RNG = np.random.default_rng(5)


@pytest.fixture
def store(tmp_path):
    counts = [1, 3, 2, 1, 1]
    arrays = {
        "0.mean": RNG.standard_normal((8, 4)).astype(np.float32),
        "last.mean": RNG.standard_normal((8, 6)).astype(np.float16),
    }
    return create_store(
        tmp_path / "store",
        arrays,
        ["owl, grey", "lark", "owl, grey", "lark – 鳥", ""],
        dataset={"name": "birds", "licence": "CC0"},
        upstream={"name": "mine", "revision": "sha256:00"},
        clip_ids=["e.wav", "d.wav", "c.wav", "b.wav", "a.wav"],
        groups=["x", "y", "x", "", "y"],
        splits=["train", "test", "test", "train", "test"],
        further={"site": ["A", "B", "A", "", "B"]},
        n_segments=counts,
        unlabelled=True,
        sample_rate=16_000,
        segment_samples=80_000,
        preprocessing="none",
        default_view="0.mean",
    )


@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_a_store_comes_back_with_the_same_digests(store, tmp_path, ending):
    path = export_store(store, tmp_path / f"birds.{ending}")
    back = import_store(tmp_path / "back", path)
    assert back.clips.digest == store.clips.digest
    assert back.clips.segments_digest == store.clips.segments_digest
    assert back.clips.further["site"].tolist() == store.clips.further["site"].tolist()
    for name in store.views:
        assert back.view_digest(name) == store.view_digest(name)
    told = ("dataset", "upstream", "sample_rate", "segment_samples", "preprocessing", "counts", "default_view")
    assert {name: back.manifest[name] for name in told} == {name: store.manifest[name] for name in told}
    with pytest.raises(UserError, match="is there already; name another file, or pass --replace"):
        export_store(store, path)
    assert export_store(store, path, ["0.mean"], replace=True) == path
    assert import_store(tmp_path / "one", path, upstream="other").views == ("0.mean",)
    # A file without the default view's embeddings does not name it.
    export_store(store, path, ["last.mean"], replace=True)
    assert "default_view" not in import_store(tmp_path / "other", path).manifest


def test_exported_files_are_read_by_others(store, tmp_path):
    path = export_store(store, tmp_path / "birds.parquet")
    frame = pandas.read_parquet(path)
    assert frame["clip_id"].tolist() == ["e.wav", *["d.wav"] * 3, *["c.wav"] * 2, "b.wav", "a.wav"]
    assert frame["segment"].tolist() == [0, 0, 1, 2, 0, 1, 0, 0]
    np.testing.assert_array_equal(np.stack(frame["0.mean"]), store.view("0.mean"))
    assert polars.read_parquet(path)["site"].to_list() == frame["site"].tolist()
    arrays = np.load(export_store(store, tmp_path / "birds.npz"))
    np.testing.assert_array_equal(arrays["last.mean"], store.view("last.mean"))
    assert arrays["class"].tolist()[1] == "lark"


def test_the_clips_of_a_store_are_a_frame(store):
    frame = store.to_frame()
    assert frame.columns.tolist() == ["clip_id", "class", "group", "split", "first_segment", "n_segments", "site"]
    assert frame["clip_id"].tolist() == store.clips.clip_id.tolist()
    assert frame.set_index("clip_id").loc["d.wav", "n_segments"] == 3


@pytest.mark.parametrize("frame_of", [pandas.DataFrame, polars.DataFrame])
def test_a_data_frame_of_clips_is_taken(tmp_path, frame_of):
    clips = frame_of(
        {"label": ["x", "y"], "path": ["a", "b"], "group": ["g", "h"], "n_segments": [1, 2], "mic": ["m", "n"]}
    )
    x = RNG.standard_normal((3, 4))
    made = create_store(tmp_path / "store", x, clips, dataset="d", upstream="u", further=["mic"])
    assert made.clips.class_name.tolist() == ["x", "y"]
    assert made.clips.group.tolist() == ["g", "h"]
    assert made.clips.n_segments.tolist() == [1, 2]
    assert made.clips.further["mic"].tolist() == ["m", "n"]
    with pytest.raises(UserError, match="the data frame has no column 'site', which further names; it has label, path"):
        create_store(tmp_path / "no", x, clips, dataset="d", upstream="u", further=["site"])
    with pytest.raises(UserError, match="the data frame has no column 'class'"):
        create_store(tmp_path / "no", x, clips[["path"]], dataset="d", upstream="u")
    with pytest.raises(UserError, match="further names columns of a data frame, and classes is none"):
        create_store(tmp_path / "no", x, ["x", "y", "z"], dataset="d", upstream="u", further=["mic"])


@pytest.mark.parametrize("write", ["pandas", "polars"])
def test_a_table_of_others_becomes_a_store(tmp_path, write):
    vectors = RNG.standard_normal((4, 3)).astype(np.float32)
    columns = {
        "path": ["a.wav", "b.wav", "b.wav", "c.wav"],
        "label": [1, 2, 2, 1],
        "embedding": list(vectors) if write == "pandas" else vectors.tolist(),
        "site": ["A", "B", "B", "A"],
    }
    path = tmp_path / "birds.parquet"
    if write == "pandas":
        pandas.DataFrame(columns).to_parquet(path)
    else:
        polars.DataFrame(columns, schema_overrides={"embedding": polars.List(polars.Float32)}).write_parquet(path)
    arguments = ["--dataset", "birds", "--upstream", "mine", "--columns", "site", "--out", str(tmp_path / "store")]
    assert main(["import", str(path), *arguments]) == 0
    made = open_store(tmp_path / "store")
    assert made.clips.class_name.tolist() == ["1", "2", "1"]
    assert made.clips.n_segments.tolist() == [1, 2, 1]
    assert made.clips.further["site"].tolist() == ["A", "B", "A"]
    np.testing.assert_array_equal(made.view("last.mean"), vectors)
    assert main(["export", str(tmp_path / "store"), "--out", str(tmp_path / "again.npz")]) == 0


def test_arrays_of_others_become_a_store(tmp_path):
    x = RNG.standard_normal((6, 3))
    np.savez(tmp_path / "plain.npz", X=x, y=np.repeat(["a", "b"], 3))
    made = import_store(tmp_path / "store", tmp_path / "plain.npz", dataset="d", upstream="u")
    np.testing.assert_array_equal(made.view("last.mean"), x.astype(np.float32))
    assert made.clips.class_name.tolist() == ["a"] * 3 + ["b"] * 3
    np.savez(tmp_path / "two.npz", A=x, B=x, y=np.repeat(["a", "b"], 3))
    with pytest.raises(UserError, match=r"several embeddings: A, B\. Name one with --embeddings"):
        import_store(tmp_path / "no", tmp_path / "two.npz", dataset="d", upstream="u")
    assert import_store(tmp_path / "b", tmp_path / "two.npz", dataset="d", upstream="u", embeddings=["B"])
    np.savez(tmp_path / "counted.npz", X=x, y=np.array(["a", "b"]), n_segments=np.array([4, 2]))
    counted = import_store(tmp_path / "counted", tmp_path / "counted.npz", dataset="d", upstream="u")
    assert counted.clips.n_segments.tolist() == [4, 2]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (
            {"X": np.ones((2, 3)), "names": np.array(["a", "b"])},
            r"has no column 'class' \(or label, labels, y, target\)",
        ),
        ({"y": np.array(["a", "b"])}, "holds no embeddings: lists of floating-point numbers in a table"),
        ({"X": np.ones((3, 3)), "y": np.array(["a", "b"])}, "'X' has 3 rows for 2 labels"),
        (
            {"X": np.ones((2, 3)), "y": np.array(["a", "b"]), "n_segments": np.array([0, 2])},
            "n_segments must have a whole",
        ),
    ],
)
def test_arrays_that_are_no_store_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=said):
        import_store(tmp_path / "store", tmp_path / "x.npz", dataset="d", upstream="u")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clip_id": ["a", "b", "a"]}, "the rows of clip 'a' do not follow each other; sort the file by clip"),
        (
            {"clip_id": ["a", "a", "b"], "class": ["x", "y", "x"]},
            "rows of clip 'a' differ in class; a clip has one class",
        ),
        ({"last.mean": [[1.0, 2.0], [1.0], [2.0, 3.0]]}, "not all of one length"),
        ({"last.mean": [[1.0, 2.0], None, [2.0, 3.0]]}, "1 cells of 'last.mean' are empty"),
        ({"last.mean": ["1", "2", "3"]}, "holds no embeddings"),
    ],
)
def test_tables_that_are_no_store_are_refused(tmp_path, change, said):
    table = {"clip_id": ["a", "b", "c"], "class": ["x", "y", "x"], "last.mean": [[1.0, 2.0], [3.0, 4.0], [2.0, 3.0]]}
    pandas.DataFrame(table | change).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=said):
        import_store(tmp_path / "store", tmp_path / "x.parquet", dataset="d", upstream="u")


def test_files_and_names_that_are_missing_are_told(store, tmp_path):
    path = export_store(store, tmp_path / "birds.npz")
    for given, said in (
        (tmp_path / "nothing.npz", "does not exist; name a container: a Parquet file, a Feather"),
        (store.path / "clips.csv", r"is no container: a Parquet file, .* Arrays beside a table of labels"),
    ):
        with pytest.raises(UserError, match=said):
            import_store(tmp_path / "no", given)
    for name in ("x.npz", "x.parquet"):
        (tmp_path / name).write_bytes(path.read_bytes()[:100])
        with pytest.raises(UserError, match="is not a whole"):
            import_store(tmp_path / "no", tmp_path / name)
    np.savez(tmp_path / "plain.npz", X=np.ones((2, 2)), y=np.array(["a", "b"]))
    with pytest.raises(UserError, match="does not say what its dataset is called; pass --dataset NAME"):
        import_store(tmp_path / "no", tmp_path / "plain.npz")
    with pytest.raises(UserError, match=r"ends in '\.csv'; a store is exported to \.parquet or \.npz"):
        export_store(store, tmp_path / "birds.csv")


def test_an_imported_store_gives_the_same_numbers(tmp_path):
    labels = np.repeat([f"class {i}" for i in range(6)], 8)
    x = RNG.standard_normal((6, 5))[np.repeat(np.arange(6), 8)] + RNG.standard_normal((48, 5))
    made = create_store(tmp_path / "a", x.astype(np.float32), labels, dataset="d", upstream="u")
    back = import_store(tmp_path / "b", export_store(made, tmp_path / "a.parquet"))
    (one,), (two,) = (api.evaluate(store, n_episodes=50, n_query=3) for store in (made, back))
    assert one["accuracy"] == two["accuracy"]
