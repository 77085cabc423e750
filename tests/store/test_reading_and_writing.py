import csv
import hashlib
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.store import find_stores, open_store, write_store
from tests.synthetic_stores import clip_table, embeddings, make_store


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_store_comes_back_as_it_was_written(tmp_path, dtype):
    table = clip_table(n_segments=2)
    views = {"last.mean": embeddings(table, dtype=dtype), "6.std": embeddings(table, dim=3, dtype=dtype)}
    written = write_store(
        tmp_path / "s",
        views=views,
        clips=table,
        dataset={"name": "birds", "licence": "CC0"},
        upstream={"name": "mine", "revision": "abc"},
        sample_rate=16_000,
        segment_samples=80_000,
        left_out=[{"clip_id": "x", "reason": "silent"}],
    )
    store = open_store(tmp_path / "s")
    assert store.digest == written.digest
    assert (store.dataset, store.upstream) == ("birds", "mine")
    assert sorted(store.views) == ["6.std", "last.mean"]
    for name, array in views.items():
        assert store.view(name).dtype == dtype
        np.testing.assert_array_equal(store.view(name), array)
        store.check_digest(name)
    assert store.clips.digest == table.digest
    assert store.manifest["counts"] == {"clips": 30, "segments": 60, "classes": 5, "groups": 0}
    assert store.manifest["left_out"] == [{"clip_id": "x", "reason": "silent"}]
    assert store.manifest["views"]["6.std"]["layer"] == "6"
    assert store.manifest["views"]["6.std"]["pooling"] == "std"


def test_the_same_content_gives_the_same_store_digest_and_other_content_another(tmp_path):
    one, same, other = (make_store(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert one.digest == same.digest != other.digest


def test_numpy_csv_and_json_are_enough_to_write_a_store_by_hand(tmp_path):
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.save(tmp_path / "last.mean.npy", x)
    with open(tmp_path / "clips.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "class", "group", "split", "first_segment", "n_segments"])
        writer.writerows([["z", "rook", "", "", 0, 1], ["a", "crow", "", "", 1, 3]])
    sha = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("last.mean.npy", "clips.csv")}
    manifest = {
        "format": "jfewshot-store",
        "format_version": 1,
        "dataset": {"name": "birds"},
        "upstream": {"name": "mine"},
        "views": {"last.mean": {"sha256": sha["last.mean.npy"]}},
        "clips_sha256": sha["clips.csv"],
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    store = open_store(tmp_path)
    assert store.clips.clip_id.tolist() == ["a", "z"]
    np.testing.assert_array_equal(store.view("last.mean"), x)
    store.check_digest("last.mean")


def test_numpy_and_the_standard_library_are_enough_to_read_a_store(tmp_path):
    table = clip_table(n_segments=2)
    make_store(tmp_path, table)
    x = np.load(tmp_path / "last.mean.npy", mmap_mode="r")
    rows = list(csv.DictReader((tmp_path / "clips.csv").read_text().splitlines()))
    assert [row["clip_id"] for row in rows] == table.clip_id.tolist()
    first = int(rows[7]["first_segment"])
    np.testing.assert_array_equal(x[first], embeddings(table)[table.first_segment[7]])


def test_a_finished_npy_file_is_moved_into_the_store(tmp_path):
    table = clip_table()
    x = embeddings(table)
    np.save(tmp_path / "finished.npy", x)
    store = write_store(
        tmp_path / "s",
        views={"last.mean": tmp_path / "finished.npy"},
        clips=table,
        dataset={"name": "d"},
        upstream={"name": "u"},
    )
    assert not (tmp_path / "finished.npy").exists()
    np.testing.assert_array_equal(store.view("last.mean"), x)
    store.check_digest("last.mean")


@pytest.mark.parametrize("bad", [np.zeros((3, 2), np.float32), np.zeros(30, np.float32), np.zeros((30, 2), np.int32)])
def test_a_finished_file_that_does_not_fit_is_left_where_it_is(tmp_path, bad):
    np.save(tmp_path / "finished.npy", bad)
    with pytest.raises(UserError, match=r"last\.mean"):
        write_store(
            tmp_path / "s",
            views={"last.mean": tmp_path / "finished.npy"},
            clips=clip_table(),
            dataset={"name": "d"},
            upstream={"name": "u"},
        )
    assert (tmp_path / "finished.npy").exists()
    assert not (tmp_path / "s").exists()


def test_writing_replaces_a_store_whole(tmp_path):
    make_store(tmp_path / "s", views={"0.mean": embeddings(clip_table())})
    store = make_store(tmp_path / "s")
    assert store.views == ("last.mean",)
    assert sorted(file.name for file in (tmp_path / "s").iterdir()) == ["clips.csv", "last.mean.npy", "manifest.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_failed_write_leaves_the_old_store_and_no_debris(tmp_path):
    old = make_store(tmp_path / "s")
    with pytest.raises(UserError, match="2 rows"):
        make_store(tmp_path / "s", views={"last.mean": np.zeros((2, 3), np.float32)})
    assert open_store(tmp_path / "s").digest == old.digest
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("name", ["last", ".mean", "last.", "..mean"])
def test_a_view_is_named_by_layer_and_pooling(tmp_path, name):
    with pytest.raises(UserError, match=r"<layer>\.<pooling>"):
        make_store(tmp_path / "s", views={name: embeddings(clip_table())})


@pytest.mark.parametrize(("name", "refused"), [("a/b.mean", "/"), ("a\\b.mean", "\\"), ("hidden:3.mean", ":")])
def test_a_view_whose_name_some_system_refuses_for_a_file_is_refused_on_all(tmp_path, name, refused):
    with pytest.raises(UserError, match=re.escape(f"holds {refused}, which file names cannot hold")):
        make_store(tmp_path / "s", views={name: embeddings(clip_table())})


@pytest.mark.parametrize("what", ["dataset", "upstream"])
def test_a_store_without_a_name_is_refused(tmp_path, what):
    with pytest.raises(UserError, match=f"{what} has no name"):
        make_store(tmp_path / "s", **{what: ""})


def test_a_view_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    store = make_store(tmp_path)
    with pytest.raises(UserError, match=r"no view '3.mean'; it has last.mean"):
        store.view("3.mean")


def edit_manifest(path, change):
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: (s / "manifest.json").unlink(), "has no manifest.json"),
        (lambda s: (s / "manifest.json").write_text('{"format": "jfew'), "truncated or not JSON"),
        (lambda s: (s / "manifest.json").write_bytes(b"\xff\xfe"), "truncated or not JSON"),
        (lambda s: (s / "manifest.json").write_text("[]"), "does not describe an embedding store"),
        (lambda s: edit_manifest(s, lambda m: m.update(format="other")), "does not describe an embedding store"),
        (lambda s: edit_manifest(s, lambda m: m.update(format_version=2)), "format version 2; this jfewshot reads"),
        (lambda s: edit_manifest(s, lambda m: m.pop("upstream")), "does not say upstream.name"),
        (lambda s: edit_manifest(s, lambda m: m.update(views={})), "names no views"),
        (lambda s: edit_manifest(s, lambda m: m.update(views={"last.mean": "abc"})), "view 'last.mean'"),
        (lambda s: (s / "clips.csv").unlink(), "clips.csv is missing"),
        (lambda s: (s / "clips.csv").write_text((s / "clips.csv").read_text() + "new,x,,,90,1\n"), "not the file"),
    ],
)
def test_a_store_that_contradicts_itself_does_not_open(tmp_path, damage, message):
    make_store(tmp_path / "s")
    damage(tmp_path / "s")
    with pytest.raises(UserError, match=message):
        open_store(tmp_path / "s")


def test_a_folder_that_is_not_there_is_no_store(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        open_store(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_bytes(file.read_bytes()[:-40]), "truncated"),
        (lambda file: file.write_bytes(b""), "truncated"),
        (lambda file: np.save(file, np.zeros((30, 12))), "holds float64"),
        (lambda file: np.save(file, np.zeros(30, np.float32)), "shape"),
        (lambda file: np.save(file, np.zeros((29, 12), np.float32)), "29 rows"),
    ],
)
def test_a_damaged_view_is_named_with_the_fix(tmp_path, damage, message):
    store = make_store(tmp_path)
    damage(tmp_path / "last.mean.npy")
    with pytest.raises(UserError, match=message):
        store.view("last.mean")


def test_a_changed_byte_is_found_by_the_digest(tmp_path):
    store = make_store(tmp_path)
    file = tmp_path / "last.mean.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"not the file that manifest\.json describes"):
        store.check_digest("last.mean")


def test_stores_are_found_at_and_below_folders_and_unfinished_ones_are_not(tmp_path):
    for name in ("b/two", "b/one", "a"):
        make_store(tmp_path / name)
    make_store(tmp_path / "b" / ".three.partial")
    found = find_stores(tmp_path, tmp_path / "a")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a", "b/one", "b/two"]
    assert find_stores(tmp_path / "a") == [tmp_path / "a"]


def test_looking_for_stores_where_there_are_none_says_so(tmp_path):
    with pytest.raises(UserError, match="no store at or below"):
        find_stores(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        find_stores(tmp_path / "nowhere")


def test_reading_a_store_loads_neither_jax_nor_torch(tmp_path):
    make_store(tmp_path)
    program = f"""
import sys
from jfewshot.store import open_store, verify_store
open_store({str(tmp_path)!r}).view("last.mean")[:].sum()
assert not verify_store({str(tmp_path)!r}).errors
print([name for name in ("jax", "jaxlib", "torch", "flax") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
