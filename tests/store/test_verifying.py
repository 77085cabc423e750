import json

import numpy as np
import pytest

from jfewshot.files import sha256_of_file
from jfewshot.store import verify_store
from jfewshot.store.verifying import rows_not_finite
from tests.store.test_reading_and_writing import edit_manifest
from tests.synthetic_stores import clip_table, embeddings, make_store


def verify_with(path, change, **store):
    """What verify finds after a change of the array, the manifest's digest made to fit."""
    table = clip_table(**store)
    x = embeddings(table)
    change(x)
    make_store(path, table, views={"last.mean": x})
    return verify_store(path)


def set_rows(rows, value):
    def change(x):
        x[rows] = value

    return change


def test_a_sound_store_has_nothing_to_report(tmp_path):
    make_store(tmp_path)
    report = verify_store(tmp_path)
    assert (report.errors, report.warnings) == ((), ())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_embeddings_that_are_not_finite_are_errors_and_name_their_clips(tmp_path, value):
    report = verify_with(tmp_path, set_rows((3, 5), value))
    owner = clip_table().clip_id[clip_table().first_segment == 3][0]
    assert len(report.errors) == 1
    assert "1 embeddings are NaN or infinite" in report.errors[0]
    assert owner in report.errors[0]


def test_zero_embeddings_are_warned_of_and_not_called_constant_too(tmp_path):
    report = verify_with(tmp_path, set_rows([2, 4], 0.0))
    assert report.errors == ()
    assert len(report.warnings) == 1
    assert "2 embeddings are all zero" in report.warnings[0]


def test_constant_embeddings_are_warned_of(tmp_path):
    report = verify_with(tmp_path, set_rows([1], 3.0))
    assert report.errors == ()
    assert len(report.warnings) == 1
    assert "1 embeddings are constant" in report.warnings[0]


def test_a_feature_that_never_changes_is_warned_of(tmp_path):
    report = verify_with(tmp_path, set_rows((slice(None), 4), 3.0))
    assert report.warnings == ("view last.mean: 1 of 12 features never change",)


def test_a_store_of_one_embedding_repeated_is_warned_of(tmp_path):
    report = verify_with(tmp_path, set_rows(slice(None), np.arange(12.0)))
    assert report.warnings == ("view last.mean: every embedding is the same",)


def test_a_class_of_one_clip_is_warned_of(tmp_path):
    make_store(tmp_path, clip_table((6, 6, 1)))
    report = verify_store(tmp_path)
    assert report.errors == ()
    assert "1 class has a single clip" in report.warnings[0]
    assert "class2 (1)" in report.warnings[0]


def test_rows_of_no_clip_are_warned_of(tmp_path):
    x = embeddings(clip_table())
    make_store(tmp_path, views={"last.mean": np.concatenate([x, x[:2] + 1])})
    assert verify_store(tmp_path).warnings == ("view last.mean: 2 rows belong to no clip",)


def test_a_changed_byte_is_an_error(tmp_path):
    make_store(tmp_path)
    data = bytearray((tmp_path / "last.mean.npy").read_bytes())
    data[-20] ^= 1
    (tmp_path / "last.mean.npy").write_bytes(data)
    assert any("sha256" in error for error in verify_store(tmp_path).errors)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: (s / "last.mean.npy").unlink(), "is missing"),
        (lambda s: (s / "last.mean.npy").write_bytes((s / "last.mean.npy").read_bytes()[:200]), "truncated"),
        (lambda s: (s / "clips.csv").unlink(), "clips.csv is missing"),
        (lambda s: (s / "manifest.json").write_text("{"), "not JSON"),
        (lambda s: edit_manifest(s, lambda m: m.update(clip_table="0" * 64)), "another digest of the clip table"),
        (lambda s: edit_manifest(s, lambda m: m["counts"].update(clips=31)), "counts 31 clips"),
        (lambda s: edit_manifest(s, lambda m: m["counts"].update(segments=29)), "counts 29 segments"),
        (lambda s: edit_manifest(s, lambda m: m["counts"].update(classes=7)), "counts 7 classes"),
        (lambda s: edit_manifest(s, lambda m: m["views"]["last.mean"].update(dim=13)), "says dim 13, the file has 12"),
        (
            lambda s: edit_manifest(s, lambda m: m["views"]["last.mean"].update(dtype="float16")),
            "says dtype float16",
        ),
        (lambda s: edit_manifest(s, lambda m: m["views"]["last.mean"].pop("sha256")), "sha256"),
    ],
)
def test_every_other_damage_is_an_error(tmp_path, damage, message):
    make_store(tmp_path)
    damage(tmp_path)
    report = verify_store(tmp_path)
    assert any(message in error for error in report.errors), report


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_exactly_nan_and_infinities_are_not_finite(dtype):
    largest = np.finfo(dtype).max
    x = np.array([[0.0, -0.0], [largest, -largest], [1.0, np.inf], [np.nan, 1.0], [-np.inf, 1.0], [1e-7, 1.0]], dtype)
    assert rows_not_finite(x, np.arange(6)).tolist() == [2, 3, 4]
    assert rows_not_finite(x, np.array([5, 4, 0])).tolist() == [4]


def test_the_view_of_a_store_larger_than_a_block_is_checked_to_its_end(tmp_path):
    table = clip_table((3000, 3000, 3000))
    x = np.random.default_rng(0).normal(size=(9000, 2)).astype(np.float32)
    x[8999, 1] = np.nan
    make_store(tmp_path, table, views={"last.mean": x})
    assert table.clip_id[table.first_segment == 8999][0] in verify_store(tmp_path).errors[0]
    assert rows_not_finite(x, np.arange(9000)).tolist() == [8999]
    assert rows_not_finite(x, np.array([8999, 3])).tolist() == [8999]
    assert rows_not_finite(x, np.arange(8999)).tolist() == []


def test_a_manifest_that_holds_only_what_is_needed_is_sound(tmp_path):
    make_store(tmp_path)

    def reduce(manifest):
        kept = ("format", "format_version", "dataset", "upstream", "views", "clips_sha256")
        for name in set(manifest) - set(kept):
            del manifest[name]
        manifest["views"]["last.mean"] = {"sha256": sha256_of_file(tmp_path / "last.mean.npy")}

    edit_manifest(tmp_path, reduce)
    assert verify_store(tmp_path).errors == ()
    assert "counts" not in json.loads((tmp_path / "manifest.json").read_text())


def copied(pairs):
    def change(x):
        for row, of in pairs:
            x[row] = x[of]

    return change


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_doubled_embeddings_are_warned_of_with_both_clips(tmp_path, dtype):
    table = clip_table(n_segments=2)
    x = embeddings(table, dtype=dtype)
    copied([(7, 2), (30, 2), (41, 40)])(x)
    make_store(tmp_path, table, views={"last.mean": x})
    report = verify_store(tmp_path)
    owner = np.empty(table.n_rows, object)
    for clip, first in zip(table.clip_id.tolist(), table.first_segment.tolist(), strict=True):
        owner[first : first + 2] = clip
    assert report.errors == ()
    assert report.warnings == (
        f"view last.mean: 3 embeddings equal another one to the bit: {owner[2]} = {owner[7]}, {owner[2]} = {owner[30]}, "
        f"two of {owner[40]}",
    )


def test_rows_of_one_digest_but_other_bytes_are_not_doubled(tmp_path, monkeypatch):
    monkeypatch.setattr("jfewshot.store.verifying.row_digests", lambda block: np.zeros(len(block), np.int64))
    assert verify_with(tmp_path / "sound", lambda x: None).warnings == ()
    (warning,) = verify_with(tmp_path / "doubled", copied([(9, 4)])).warnings
    assert "1 embeddings equal another one" in warning
