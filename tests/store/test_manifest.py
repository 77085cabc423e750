"""Damaged and hostile manifests, arrays and rows: each is refused in one line that names the file and what is wrong in it."""

import json

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file
from jfewshot.store import ClipTable, open_store, verify_store
from tests.synthetic_stores import clip_table, make_store


def edited(path, change):
    """A store whose manifest was changed by a function, or replaced by the text that the function returns."""
    make_store(path)
    file = path / "manifest.json"
    manifest = json.loads(file.read_text())
    text = change(manifest)
    file.write_text(text if isinstance(text, str) else json.dumps(manifest))
    return path


def refusal(path):
    with pytest.raises(UserError) as caught:
        open_store(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path / "manifest.json") in message
    assert verify_store(path).errors == (message,)
    return message


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: m["dataset"].update(name=["a", "b"]), "`$.dataset.name`"),
        (lambda m: m["upstream"].update(name=5), "`$.upstream.name`"),
        (lambda m: m["upstream"].update(title=5), "`$.upstream.title`"),
        (lambda m: m["upstream"].update(revision=["x"]), "`$.upstream.revision`"),
        (lambda m: m.update(default_view=["last.mean"]), "`$.default_view`"),
        (lambda m: m.update(default_view="last.max"), "the default view 'last.max' is not among the views"),
        (lambda m: m.update(counts=[1]), "`$.counts`"),
        (lambda m: m.update(counts={"clips": "many"}), "`$.counts[...]`"),
        (lambda m: m.update(left_out={"a": 1}), "`$.left_out`"),
        (lambda m: m.update(left_out=[{"clip_id": "a"}]), "reason"),
        (lambda m: m.update(sample_rate="16000"), "`$.sample_rate`"),
        (lambda m: m.update(sample_rate=10**400), "`$.sample_rate`"),
        (lambda m: m.update(views=["last.mean"]), "`$.views`"),
        (lambda m: m["views"]["last.mean"].update(dim="12"), "view 'last.mean'"),
        (lambda m: m["views"].update({"../other.mean": {}}), "../other.mean"),
        (lambda m: m["views"].update({"/etc/last.mean": {}}), "/etc/last.mean"),
        (lambda m: m.__delitem__("clips_sha256"), "clips_sha256"),
        (lambda m: m.update(clips_sha256="abc"), "clips_sha256"),
        (lambda m: m["dataset"].update(note=float("nan")), "not JSON"),
        (lambda m: json.dumps(m)[:-1] + ', "n": 1e999}', "not JSON"),
        (lambda m: json.dumps(m)[:-1] + ', "n": ' + "7" * 5_000 + "}", "not JSON"),
        (lambda m: json.dumps(m)[:-1] + ', "n": ' + "[" * 80 + "]" * 80 + "}", "64 levels"),
        (lambda m: json.dumps(m)[:-1] + ', "n": ' + "[" * 100_000 + "]" * 100_000 + "}", "64 levels"),
        (lambda m: m["dataset"].update(name="\ud800"), "not JSON"),
    ],
)
def test_a_manifest_with_a_wrong_field_is_refused_by_that_field(tmp_path, change, complaint):
    assert complaint in refusal(edited(tmp_path / "s", change))


def test_a_manifest_of_64_levels_is_read_and_digested(tmp_path):
    deep = 1
    for _ in range(63):
        deep = [deep]
    store = open_store(edited(tmp_path / "s", lambda m: m.update(deep=deep)))
    assert store.manifest["deep"] == deep
    assert len(store.digest) == 64


def test_a_manifest_that_cannot_be_read_is_named(tmp_path):
    make_store(tmp_path / "s")
    (tmp_path / "s" / "manifest.json").unlink()
    (tmp_path / "s" / "manifest.json").mkdir()
    assert "cannot be read" in refusal(tmp_path / "s")


def header(text):
    """The beginning of a `.npy` file with this text as its header."""
    encoded = text.encode("latin1")
    return b"\x93NUMPY\x01\x00" + len(encoded).to_bytes(2, "little") + encoded


_GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (30, 12), }"


@pytest.mark.parametrize(
    "text",
    [
        _GOOD.replace("}", ""),
        _GOOD.replace("(", ""),
        _GOOD.replace("'", '"""', 1),
        _GOOD.replace("30", "30 12"),
        _GOOD.replace("30", "9" * 5_000),
        _GOOD.replace("30", str(2**62)),
        _GOOD.replace("30", "-30"),
        _GOOD.replace("30", "3e1"),
        _GOOD.replace("'<f4'", "{}"),
        _GOOD.replace("'<f4'", "'|O'"),
        _GOOD.replace("'<f4'", "[('a', '<f4'), ('a', '<f4')]"),
        _GOOD.replace("'<f4'", "'<f4, <f4'"),
        _GOOD.replace("False", "None"),
        _GOOD.replace("'shape'", "[]"),
        "(" * 9_000,
        "  \n  " + _GOOD + "\n )",
        "\x00" * 60,
    ],
    ids=range(17),
)
def test_an_array_whose_header_is_damaged_is_refused_by_its_file(tmp_path, text):
    store = make_store(tmp_path / "s")
    file = tmp_path / "s" / "last.mean.npy"
    file.write_bytes(header(text) + file.read_bytes()[128:])
    with pytest.raises(UserError) as caught:
        store.view("last.mean")
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert verify_store(tmp_path / "s").errors


def test_a_dimension_or_type_that_the_array_contradicts_is_refused(tmp_path):
    for field, value in (("dim", 13), ("dtype", "float16")):
        store = open_store(edited(tmp_path / field, lambda m: m["views"]["last.mean"].update({field: value})))  # noqa: B023
        with pytest.raises(UserError, match=f"says {field} {value}, the file has"):
            store.view("last.mean")


def test_a_view_without_columns_is_refused(tmp_path):
    path = tmp_path / "s"
    make_store(path)
    np.save(path / "last.mean.npy", np.zeros((30, 0), np.float32))
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["views"]["last.mean"] = {"sha256": sha256_of_file(path / "last.mean.npy")}
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"last\.mean\.npy"):
        open_store(path).view("last.mean")


@pytest.mark.parametrize("value", ["9223372036854775807", "9223372036854775808", "9" * 30, str(2**40)])
@pytest.mark.parametrize("column", ["first_segment", "n_segments"])
def test_rows_near_the_end_of_64_bits_are_refused_by_their_clip(tmp_path, column, value):
    path = tmp_path / "clips.csv"
    clip_table().write(path)
    header, first, *rest = path.read_text().splitlines()
    cells = first.split(",")
    cells[header.split(",").index(column)] = value
    path.write_text("\n".join([header, ",".join(cells), *rest]) + "\n")
    with pytest.raises(UserError, match=f"clips.csv.*{column} of clip 'clip0000' is {value[:20]}"):
        ClipTable.read(path)


def test_a_number_of_rows_with_a_fraction_is_refused_and_a_whole_float_is_taken():
    with pytest.raises(UserError, match=r"n_segments of clip 'b' is 1\.5"):
        ClipTable.build(["a", "b"], ["x", "y"], n_segments=np.array([1.0, 1.5]))
    assert ClipTable.build(["a", "b"], ["x", "y"], n_segments=np.array([1.0, 2.0])).n_segments.tolist() == [1, 2]
    with pytest.raises(UserError, match="n_segments of clip 'a' is nan"):
        ClipTable.build(["a"], ["x"], n_segments=np.array([np.nan]))


def test_segments_of_all_clips_together_stay_within_64_bits():
    n = 2**23
    with pytest.raises(UserError, match="sum of n_segments"):
        ClipTable.build(map(str, range(8)), ["x"] * 8, n_segments=np.full(n, 2**40 - 1))
