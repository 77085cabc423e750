"""Labels, groups and embeddings as pandas, NumPy, PyTorch and others hand them over."""

import json

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pandas as pd
import polars
import pytest

from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.store import create_store, open_store
from jfewshot.store.__main__ import main
from jfewshot.store.creating import create_from_files

X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
Y = ["owl", "owl", "wren", "wren"] * 2
NAMES = {"dataset": "d", "upstream": "u"}


def create(folder, x=X, labels=Y, **more):
    return create_store(folder / "s", x, labels, **NAMES, **more)


MISSING = [
    pd.Series([*Y[:6], np.nan, np.nan]),
    [*Y[:6], None, None],
    pd.array([*Y[:6], None, None], dtype="string"),
    pd.Series([*Y[:6], None, None], dtype="category"),
    pd.Series([0, 1, 0, 1, 0, 1, None, None], dtype="Int64"),
    np.array([*Y[:6], "", ""]),
    np.ma.array(np.arange(8), mask=[0] * 6 + [1] * 2),
    [*Y[:6], pd.NaT, float("nan")],
    np.array([1.0] * 6 + [np.nan] * 2),
]


@pytest.mark.parametrize("labels", MISSING)
def test_a_missing_label_is_refused_by_clip_and_kept_where_that_is_asked(tmp_path, labels):
    with pytest.raises(UserError, match=r"clip '000006' has no class; label it, leave it out, or keep .* --unlabelled"):
        create(tmp_path, labels=labels)
    clips = create(tmp_path, labels=labels, unlabelled=True).clips
    assert clips.class_name.tolist()[6:] == ["", ""]
    assert "" not in clips.classes.tolist()
    assert clips.class_number.tolist()[6:] == [-1, -1]
    assert clips.counts["unlabelled"] == 2


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA, pd.NaT, ""])
def test_missing_groups_are_unknown_groups(tmp_path, missing):
    groups = pd.Series(["s1", "s1", "s2", "s2", *[missing] * 4], dtype=object)
    clips = create(tmp_path, groups=groups).clips
    assert clips.group.tolist() == ["s1", "s1", "s2", "s2", "", "", "", ""]
    assert len(set(clips.group_number.tolist())) == 6


@pytest.mark.parametrize(
    "labels",
    [
        np.char.encode(np.array(Y)),
        [name.encode() for name in Y],
        np.array(Y, dtype=object),
        pd.Categorical(Y),
        pd.Series(Y),
    ],
)
def test_bytes_and_pandas_columns_are_names(tmp_path, labels):
    assert create(tmp_path, labels=labels).clips.class_name.tolist() == Y


def test_numbers_are_names_whoever_holds_them(tmp_path):
    torch = pytest.importorskip("torch")
    for n, labels in enumerate([list(range(8)), np.arange(8), torch.arange(8), pd.RangeIndex(8)]):
        store = create_store(tmp_path / str(n), X, labels, **NAMES)
        assert store.clips.class_name.tolist() == list("01234567")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.array(Y)[:, None], r"class: values of shape \(8, 1\); one per clip is needed: pass a flat array"),
        (np.eye(8), r"shape \(8, 8\).*labels\.argmax\(axis=1\)"),
        (pd.DataFrame({"species": Y}), r"the data frame has no column .class. \(or .label.\); it has species"),
        ([[0], [0, 1], *[[1]] * 6], r"class of clip 'number 0' is \[0\], a list of values"),
        ([("owl", "wren")] * 8, "a list of values; an episode needs one"),
        (pd.Series([np.array([1, 2])] * 8), "a list of values; an episode needs one"),
        ({"owl": 1}, "a list with one value per clip is needed"),
        ("owl,wren", "a list with one value per clip is needed"),
        ([b"caf\xe9"] * 8, "bytes that are not UTF-8"),
        (["caf\udce9.wav"] * 8, r"is not UTF-8 text: b'caf\\xe9\.wav'; rename it"),
        (["a\0"] * 8, "contains a NUL character"),
        (["owl", " owl"] * 4, "the classes ' owl' and 'owl' differ in white space"),
        (["owl", "owl\u00a0"] * 4, "differ in white space"),
        (["barn owl", "barn  owl"] * 4, "differ in white space"),
        (["é", "e\u0301"] * 4, "how an accent is written"),
    ],
)
def test_what_is_no_column_of_names_is_refused(tmp_path, labels, said):
    with pytest.raises(UserError, match=said) as error:
        create(tmp_path, labels=labels)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "s").exists()


def test_groups_that_look_alike_are_refused_and_case_is_warned_of(tmp_path, caplog):
    with pytest.raises(UserError, match="the groups 's1' and 's1 ' differ in white space"):
        create(tmp_path, groups=["s1", "s1 "] * 4)
    create(tmp_path, labels=["Owl", "owl", "nan", "wren"] * 2)
    assert "the classes 'Owl' and 'owl' differ in case alone" in caplog.text
    assert "is 'nan': is that a missing value" in caplog.text


def test_unlabelled_clips_take_part_in_no_episode_and_are_counted(tmp_path, capsys):
    store = create(tmp_path, labels=[*Y[:6], None, None], unlabelled=True)
    protocol = Protocol(n_way=2, k_shot=1, n_query=1, n_episodes=3)
    pool = class_pool(store.clips, protocol)
    assert pool.names.tolist() == ["owl", "wren"]
    assert sorted(pool.clips.tolist()) == [0, 1, 2, 3, 4, 5]
    main(["inspect", str(tmp_path / "s")])
    assert "8 in 2 classes of 2 to 4 clips, 2 without a class (unlabelled)" in capsys.readouterr().out
    only = create_store(tmp_path / "none", X, [None] * 8, **NAMES, unlabelled=True)
    with pytest.raises(UserError, match="no clip has a class"):
        class_pool(only.clips, protocol)
    main(["inspect", str(tmp_path / "none")])
    assert "8 in no classes, 8 without a class" in capsys.readouterr().out


class OnlyDlpack:
    """An array of a library that NumPy knows nothing of."""

    def __init__(self, array):
        self._array, self.shape, self.dtype = array, array.shape, array.dtype

    def __dlpack__(self, **asked):
        return self._array.__dlpack__(**asked)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


class OnAGpu(OnlyDlpack):
    """Such an array in the memory of a GPU."""

    def __dlpack__(self, **asked):
        raise BufferError("the data is on a GPU")


@pytest.mark.parametrize(
    "given",
    [jnp.asarray(X), jnp.asarray(X, jnp.bfloat16), polars.DataFrame(X), OnlyDlpack(X)],
    ids=lambda x: type(x).__name__,
)
def test_embeddings_of_jax_polars_and_by_dlpack_are_taken(tmp_path, given):
    is_short = getattr(given, "dtype", None) == jnp.bfloat16
    expected = X.astype(ml_dtypes.bfloat16).astype(np.float32) if is_short else X
    np.testing.assert_array_equal(create(tmp_path, given).view("last.mean"), expected)


def test_an_array_that_dlpack_cannot_hand_over_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"cannot be taken over by DLPack \(the data is on a GPU\); move the array to the CPU"
    ):
        create(tmp_path, OnAGpu(X))


def tensors():
    torch = pytest.importorskip("torch")
    return {
        "torch": torch.tensor(X, requires_grad=True),
        "torch bfloat16": torch.tensor(X).bfloat16(),
        "torch list": [torch.tensor(row) for row in X],
        "bfloat16": X.astype(ml_dtypes.bfloat16),
        "data frame": pd.DataFrame(X),
        "float64 data frame": pd.DataFrame(X.astype(float)),
        "list of data frames": [pd.DataFrame(X[n : n + 1]) for n in range(8)],
        "list of rows": X.astype(float).tolist(),
    }


@pytest.mark.parametrize("kind", ["torch", "torch bfloat16", "torch list", "bfloat16", "data frame", "float64 data frame",
                                  "list of data frames", "list of rows"])  # fmt: skip
def test_embeddings_of_other_libraries_are_taken(tmp_path, kind):
    store = create(tmp_path, tensors()[kind])
    expected = X.astype(ml_dtypes.bfloat16).astype(np.float32) if "bfloat16" in kind else X
    np.testing.assert_array_equal(store.view("last.mean"), expected)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (
            np.where(np.arange(32).reshape(8, 4) == 9, np.nan, X),
            "embeddings of 1 clip are NaN or infinite .* clip '000002'",
        ),
        (np.where(np.arange(32).reshape(8, 4) > 27, np.inf, X), "embeddings of 1 clip .* clip '000007'"),
        (X.astype(float) * 1e300, r"embeddings of 8 clips are NaN or infinite \(as float32\)"),
        (pd.DataFrame({"file": Y, "x": 1.0}), "holds Python objects: is a column text"),
        (X.astype(int), r"int64 of shape \(8, 4\).*\.astype\('float32'\)"),
        (X[:, None], "one row per segment, with n_segments"),
        (X.astype(ml_dtypes.bfloat16).view("V2"), "NumPy saves bfloat16 as bytes without a type"),
    ],
)
def test_embeddings_that_cannot_be_used_are_refused_with_the_fix(tmp_path, x, said):
    with pytest.raises(UserError, match=said):
        create(tmp_path, x)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("X.csv", lambda p: pd.DataFrame(X).to_csv(p), r"np\.save\('X\.npy', np\.loadtxt\('X\.csv'"),
        ("X.pt", lambda p: p.write_bytes(b"PK"), r"torch\.load\('X\.pt'"),
        ("X.h5", lambda p: p.write_bytes(b"\x89HDF"), r"h5py\.File\('X\.h5'\)"),
        ("X.npz", lambda p: np.savez(p, a=X, b=X), "holds a, b; one array is needed"),
        ("X.npy", lambda p: np.save(p, np.array([X, None], dtype=object)), "holds Python objects"),
        ("X.npy", lambda p: np.save(p, X.astype(ml_dtypes.bfloat16)), "NumPy saves bfloat16 as bytes"),
        ("X.npy", lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
        ("X.npy", lambda p: p.write_text("1 2 3"), "is no .npy file|is not a whole"),
        ("X.npy", lambda p: p.write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'sh"), "not a whole .npy"),
    ],
)
def test_files_of_embeddings_are_taken_or_the_message_converts_them(tmp_path, name, write, said):
    write(tmp_path / name)
    (tmp_path / "labels.csv").write_text("class\n" + "\n".join(Y) + "\n")
    with pytest.raises(UserError, match=said) as error:
        create_from_files(tmp_path / "s", tmp_path / name, tmp_path / "labels.csv", **NAMES)
    assert "allow_pickle" not in str(error.value)
    np.savez(tmp_path / "one.npz", X)
    store = create_from_files(tmp_path / "s", tmp_path / "one.npz", tmp_path / "labels.csv", **NAMES)
    np.testing.assert_array_equal(store.view("last.mean"), X)


LABELS = pd.DataFrame({"path": [f"{n}.wav" for n in range(8)], "class": Y, "site": "a", "Unnamed: 0": 1})


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("l.csv", lambda p: LABELS.to_csv(p, index=False)),
        ("l.csv", lambda p: LABELS.to_csv(p, index=False, sep=";", encoding="utf-8-sig", lineterminator="\r\n")),
        ("l.tsv", lambda p: LABELS.to_csv(p, index=False, sep="\t")),
        ("l.jsonl", lambda p: LABELS.to_json(p, orient="records", lines=True)),
        ("l.parquet", lambda p: LABELS.to_parquet(p, index=False)),
    ],
)
def test_paths_name_the_clips_and_other_columns_are_named(tmp_path, caplog, name, write):
    write(tmp_path / name)
    np.save(tmp_path / "X.npy", X)
    create_from_files(tmp_path / "s", tmp_path / "X.npy", tmp_path / name, **NAMES)
    assert open_store(tmp_path / "s").clips.clip_id.tolist() == LABELS["path"].tolist()
    assert "not used: the columns site, Unnamed: 0; a store takes class, clip_id" in caplog.text


def test_lists_in_a_table_of_labels_and_near_names_are_refused(tmp_path):
    np.save(tmp_path / "X.npy", X)
    (tmp_path / "l.jsonl").write_text("".join(json.dumps({"label": [0, 1]}) + "\n" for _ in Y))
    with pytest.raises(UserError, match=r"line 1 has \[0, 1\] under 'label', a list"):
        create_from_files(tmp_path / "s", tmp_path / "X.npy", tmp_path / "l.jsonl", **NAMES)
    (tmp_path / "l.csv").write_text("class, Group\n" + "owl,a\n" * 8)
    with pytest.raises(UserError, match="has a column ' Group'; rename it to group"):
        create_from_files(tmp_path / "s", tmp_path / "X.npy", tmp_path / "l.csv", **NAMES)
