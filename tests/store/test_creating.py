import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.store import create_store
from jfewshot.store.creating import create_from_files

X = np.random.default_rng(0).normal(size=(4, 3))
LABELS = ["crow", "rook", "crow", "jay"]
NAMES = {"dataset": "birds", "upstream": "mine"}


def test_an_array_and_labels_make_a_store(tmp_path):
    store = create_store(tmp_path / "s", X, LABELS, **NAMES)
    assert store.view("last.mean").dtype == np.float32
    np.testing.assert_array_equal(store.view("last.mean"), X.astype(np.float32))
    assert store.clips.class_name.tolist() == LABELS
    assert store.clips.n_segments.tolist() == [1, 1, 1, 1]


def test_rows_stay_with_their_clips_whatever_the_ids_sort_to(tmp_path):
    store = create_store(tmp_path / "s", X, LABELS, clip_ids=["d", "c", "b", "a"], **NAMES)
    for clip, row in zip("dcba", range(4), strict=True):
        where = store.clips.clip_id.tolist().index(clip)
        np.testing.assert_array_equal(store.view("last.mean")[store.clips.first_segment[where]], X[row].astype("f4"))
        assert store.clips.class_name[where] == LABELS[row]


def test_a_list_of_arrays_makes_clips_of_several_segments(tmp_path):
    store = create_store(tmp_path / "s", [X[:2], X[2], X[3:]], ["a", "b", "a"], **NAMES)
    assert store.clips.n_segments.tolist() == [2, 1, 1]
    np.testing.assert_array_equal(store.view("last.mean"), X.astype(np.float32))


def test_a_dict_makes_several_views(tmp_path):
    store = create_store(tmp_path / "s", {"0.mean": X, "1.mean": 2 * X}, LABELS, **NAMES)
    np.testing.assert_array_equal(store.view("1.mean"), (2 * X).astype(np.float32))


def test_float16_stays_float16(tmp_path):
    assert create_store(tmp_path / "s", X.astype(np.float16), LABELS, **NAMES).view("last.mean").dtype == np.float16


def test_facts_groups_and_splits_are_kept(tmp_path):
    store = create_store(
        tmp_path / "s",
        X,
        LABELS,
        dataset={"name": "birds", "licence": "CC0"},
        upstream="mine",
        groups=list("ppqq"),
        splits=["train", "train", "test", "test"],
        sample_rate=8000,
    )
    assert store.manifest["dataset"]["licence"] == "CC0"
    assert store.manifest["sample_rate"] == 8000
    assert store.clips.group.tolist() == list("ppqq")
    assert store.clips.split.tolist() == ["train", "train", "test", "test"]


@pytest.mark.parametrize(
    ("embeddings", "labels", "extra", "message"),
    [
        (X, LABELS[:3], {}, "4 rows for 3 segments"),
        (X, LABELS, {"n_segments": [1, 1, 1, 2]}, "4 rows for 5 segments"),
        (X.astype(int), LABELS, {}, "int64"),
        (X[0], LABELS, {}, "shape"),
        ([X[:, :2], X], ["a", "b"], {}, "differ in dimension"),
        ([], [], {}, "no clips|no arrays|differ"),
        (X, LABELS, {"groups": ["a"]}, "1 values of group for 4 clips"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, embeddings, labels, extra, message):
    with pytest.raises(UserError, match=message):
        create_store(tmp_path / "s", embeddings, labels, **NAMES, **extra)
    assert not (tmp_path / "s").exists()


def test_an_npy_file_and_a_csv_make_a_store(tmp_path):
    np.save(tmp_path / "X.npy", X)
    (tmp_path / "labels.csv").write_text("label,group,n_segments\ncrow,p,2\nrook,q,1\njay,q,1\n")
    store = create_from_files(tmp_path / "s", tmp_path / "X.npy", tmp_path / "labels.csv", **NAMES)
    assert store.clips.class_name.tolist() == ["crow", "rook", "jay"]
    assert store.clips.n_segments.tolist() == [2, 1, 1]
    assert store.clips.group.tolist() == ["p", "q", "q"]


def test_a_folder_of_arrays_and_a_csv_make_a_store(tmp_path):
    (tmp_path / "arrays" / "sub").mkdir(parents=True)
    np.save(tmp_path / "arrays" / "z.npy", X[:3])
    np.save(tmp_path / "arrays" / "sub" / "a.npy", X[3])
    # As spreadsheets save it: with a byte-order mark.
    (tmp_path / "labels.csv").write_text("clip_id,class,split\nz,crow,train\nsub/a,rook,test\n", encoding="utf-8-sig")
    store = create_from_files(tmp_path / "s", tmp_path / "arrays", tmp_path / "labels.csv", **NAMES)
    assert store.clips.clip_id.tolist() == ["sub/a", "z"]
    assert store.clips.n_segments.tolist() == [1, 3]
    np.testing.assert_array_equal(store.view("last.mean")[store.clips.first_segment[0]], X[3].astype(np.float32))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "does not exist"),
        ("", "no lines"),
        ("class\n", "no lines"),
        ("name\ncrow\n", "no column 'class'"),
        ("class,group\ncrow\nrook,p\n", "line 2 has 1 field, the header has 2"),
        ("class\ncrow,p\n", "line 2 has 2 fields, the header has 1"),
        ("class,n_segments\na,one\n", "n_segments must be whole numbers"),
    ],
)
def test_a_table_of_labels_that_does_not_fit_is_named(tmp_path, labels, message):
    np.save(tmp_path / "X.npy", X)
    if labels is not None:
        (tmp_path / "labels.csv").write_text(labels)
    with pytest.raises(UserError, match=message):
        create_from_files(tmp_path / "s", tmp_path / "X.npy", tmp_path / "labels.csv", **NAMES)


def test_missing_and_broken_arrays_are_named(tmp_path):
    (tmp_path / "labels.csv").write_text("class\ncrow\n")
    (tmp_path / "arrays").mkdir()
    with pytest.raises(UserError, match=r"X\.npy does not exist"):
        create_from_files(tmp_path / "s", tmp_path / "X.npy", tmp_path / "labels.csv", **NAMES)
    (tmp_path / "X.npy").write_bytes(b"not an array")
    with pytest.raises(UserError, match=r"is no \.npy file"):
        create_from_files(tmp_path / "s", tmp_path / "X.npy", tmp_path / "labels.csv", **NAMES)
    with pytest.raises(UserError, match="no column 'clip_id'"):
        create_from_files(tmp_path / "s", tmp_path / "arrays", tmp_path / "labels.csv", **NAMES)
