import json

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.results import ResultFolder, key_of, read_results
from jfewshot.results import folder as folder_module
from jfewshot.results.indexing import Index, Place
from tests.reporting.synthetic import record_of
from tests.results.packed import as_version_1, block_file, change, line_file, without_digests

# Two episodes, three ways, two queries of each class.
PROTOCOL = {"n_way": 3, "n_query": 2, "n_episodes": 2}
PREDICTED = np.array([[0, 1, 1, 1, 2, 0], [2, 2, 0, 1, 2, 2]], np.int8)
DRAWS = {
    "clips": np.array([[[0, 1, 2], [3, 4, 5], [6, 7, 8]]] * 2),
    "clip_id": np.array(list("abcdefghä")),
    "class": np.array(["x"] * 3 + ["y"] * 3 + ["z"] * 3),
}


def record(**changes):
    made = record_of(**PROTOCOL, **changes)
    del made["key"]
    return made


def fill(path, keep="predictions", **changes):
    folder = ResultFolder(path, keep)
    draws = folder.write_draws({"seed": 1}, DRAWS)
    return folder, folder.write_cell(record(**changes) | {"draws": draws}, PREDICTED)


def test_a_record_is_found_by_its_key_and_by_no_other(tmp_path):
    folder, written = fill(tmp_path)
    assert folder.find(key_of(record()["identity"])) == written
    assert ResultFolder(tmp_path).find(written["key"]) == written
    assert folder.find(key_of(record(strength=2.0)["identity"])) is None
    assert written["format"] == "jfewshot-result"
    assert written["format_version"] == 2
    assert written["key"] == key_of(record()["identity"])


def test_predictions_and_draws_come_back(tmp_path):
    _, written = fill(tmp_path)
    results = read_results(tmp_path)
    assert results.records == (written,)
    assert results.problems == ()
    np.testing.assert_array_equal(results.predictions(written), PREDICTED)
    assert results.predictions(written).dtype == np.int8
    np.testing.assert_array_equal(results.right_of_slot(written), [[1, 2, 1], [0, 1, 2]])  # by hand
    draws = results.draws(written)
    np.testing.assert_array_equal(draws["clips"], DRAWS["clips"])
    assert draws["clip_id"].tolist() == list("abcdefghä")
    assert json.loads(str(draws["protocol"])) == {"seed": 1}


def test_many_cells_are_few_files_and_come_sorted_by_key(tmp_path):
    with ResultFolder(tmp_path) as folder:
        draws = folder.write_draws({"seed": 1}, DRAWS)
        for value in range(50):
            folder.write_cell(record(strength=float(value)) | {"draws": draws}, PREDICTED)
    keys = [each["key"] for each in read_results(tmp_path).records]
    assert keys == sorted(keys)
    assert len(keys) == 50
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 3


def test_two_writers_at_once_share_no_file_and_find_each_others_records(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_module, "_LOOK_AGAIN_S", 0.0)
    (first, one), (second, other) = fill(tmp_path, strength=1.0), fill(tmp_path, strength=2.0)
    assert len(list((tmp_path / "records").iterdir())) == 2
    assert first.find(other["key"]) == other
    assert second.find(one["key"]) == one
    assert len(read_results(tmp_path).records) == 2


def test_draws_that_are_there_are_not_written_again(tmp_path):
    folder, written = fill(tmp_path)
    path = tmp_path / "draws" / written["draws"]
    before = path.stat().st_mtime_ns
    assert ResultFolder(tmp_path).write_draws({"seed": 1}, DRAWS) == written["draws"]
    assert folder.write_draws({"seed": 1}, DRAWS) == written["draws"]
    assert path.stat().st_mtime_ns == before


def edit_a_draw(path, record):
    """Exchange two clips of one class's place and write the file as NumPy's users would."""
    file = path / "draws" / record["draws"]
    arrays = dict(np.load(file))
    arrays["clips"][0, 0, :2] = arrays["clips"][0, 0, 1::-1]
    np.savez_compressed(file, **arrays)


def edited_accuracy(line):
    assert b'"mean":0.5' in line
    return line.replace(b'"mean":0.5', b'"mean":0.75')


def edited_by_another_program(line):
    record = json.loads(line)
    record["accuracy"]["mean"] = 0.75
    return json.dumps(record, sort_keys=True).encode() + b"\n"


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda p, r: block_file(p).unlink(),
        lambda p, r: block_file(p).write_bytes(b""),
        lambda p, r: flip(block_file(p), 3),
        lambda p, r: (p / "draws" / r["draws"]).unlink(),
        edit_a_draw,
        lambda p, r: line_file(p).unlink(),
        lambda p, r: change(p, r["key"], edited_accuracy),
        lambda p, r: change(p, r["key"], edited_by_another_program),
        lambda p, r: change(p, r["key"], lambda line: line.replace(b'"name":"alpha"', b'"name":"omega"')),
        lambda p, r: change(p, r["key"], lambda line: line[:-2]),
        lambda p, r: change(p, r["key"], lambda line: line[:200] + b"\n"),
        lambda p, r: change(p, r["key"], lambda line: line.replace(b'"format_version":2', b'"format_version":9')),
        lambda p, r: change(p, r["key"], lambda line: line.replace(b'"seed":0', b'"seed":1')),
        lambda p, r: change(p, r["key"], lambda line: line.replace(b'"mean":0.5', b'"mean":NaN')),
    ],
)
def test_a_cell_that_is_not_whole_counts_as_not_there_and_can_be_written_again(tmp_path, damage):
    folder, written = fill(tmp_path)
    folder.close()
    damage(tmp_path, written)
    assert folder.find(written["key"]) is None
    assert ResultFolder(tmp_path).find(written["key"]) is None
    _, again = fill(tmp_path)
    assert ResultFolder(tmp_path).find(written["key"]) == again
    results = read_results(tmp_path)
    assert results.records == (again,)
    # What was computed again is no problem any more.
    assert results.problems == ()
    np.testing.assert_array_equal(results.predictions(again), PREDICTED)


def test_a_name_that_a_clock_ahead_gave_is_followed_by_a_later_one(tmp_path):
    _, _ = fill(tmp_path)
    path = line_file(tmp_path)
    path.rename(path.with_name("29990101T000000Z-ahead-1-0000.jsonl"))
    folder, _ = fill(tmp_path)
    folder.close()
    newest = max(file.name for file in path.parent.iterdir())
    assert newest.startswith("29990101T000001Z")


def test_damaged_predictions_and_draws_are_named_with_the_fix(tmp_path):
    _, written = fill(tmp_path)
    results = read_results(tmp_path)
    flip(block_file(tmp_path), 3)
    with pytest.raises(UserError, match=r"its bytes are not those that record [0-9a-f]{20} describes; run the same"):
        results.predictions(written)
    block_file(tmp_path).unlink()
    with pytest.raises(UserError, match="is missing; run the same command again"):
        results.predictions(written)
    draws = tmp_path / "draws" / written["draws"]
    draws.write_bytes(draws.read_bytes()[:50])
    with pytest.raises(UserError, match=r"is damaged .*; delete it and run"):
        results.draws(written)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"clips": DRAWS["clips"][:1]}, "its record says"),
        ({"clips": DRAWS["clips"].astype(float)}, "its record says"),
        ({"clips": DRAWS["clips"] + 1}, "not in its table"),
        ({"clips": DRAWS["clips"] - 1}, "not in its table"),
        ({"class": DRAWS["class"][:4]}, "do not fit"),
        ({"class": np.arange(9)}, "do not fit"),
        ({"class": DRAWS["class"][::-1][[3, 1, 2, 0, 4, 5, 6, 7, 8]]}, "two classes"),
        ({"clip_id": None}, "lacks"),
    ],
)
def test_draws_that_contradict_their_record_are_named(tmp_path, arrays, words):
    _, written = fill(tmp_path)
    path = tmp_path / "draws" / written["draws"]
    np.savez(path, **{name: array for name, array in (DRAWS | arrays).items() if array is not None})
    with pytest.raises(UserError, match=words):
        read_results(tmp_path).draws(written)


def test_every_byte_of_a_file_of_draws_may_be_damaged(tmp_path):
    _, written = fill(tmp_path)
    results = read_results(tmp_path)
    path = tmp_path / "draws" / written["draws"]
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(len(whole), size=200):
        data = bytearray(whole)
        data[place] = rng.integers(256)
        path.write_bytes(data)
        results.__dict__.pop("_draws", None)
        try:
            draws = results.draws(written)
        except UserError as error:
            said = str(error)
        else:
            said = str(path)
            assert draws["clips"].shape == (2, 3, 3)
        assert str(path) in said


def test_counts_are_kept_instead_of_predictions_and_take_less(tmp_path):
    folder, written = fill(tmp_path / "counts", "counts")
    results = read_results(tmp_path / "counts")
    np.testing.assert_array_equal(results.right_of_slot(written), [[1, 2, 1], [0, 1, 2]])
    with pytest.raises(UserError, match="keeps counts only; run the same command with --keep predictions"):
        results.predictions(written)
    assert folder.find(written["key"]) == written
    # Where predictions are wanted, counts do not do; where counts are wanted, predictions do.
    assert ResultFolder(tmp_path / "counts").find(written["key"]) is None
    _, whole = fill(tmp_path / "whole")
    assert ResultFolder(tmp_path / "whole", "counts").find(written["key"]) == whole
    _, more = fill(tmp_path / "counts")
    results = read_results(tmp_path / "counts")
    np.testing.assert_array_equal(results.predictions(*results.records), PREDICTED)
    assert results.records == (more,)


def test_folders_of_format_version_1_are_read_and_added_to(tmp_path):
    _, written = fill(tmp_path)
    as_version_1(tmp_path)
    results = read_results(tmp_path)
    assert [each["key"] for each in results.records] == [written["key"]]
    assert results.records[0]["format_version"] == 1
    np.testing.assert_array_equal(results.predictions(results.records[0]), PREDICTED)
    folder = ResultFolder(tmp_path)
    assert folder.find(written["key"])["accuracy"] == written["accuracy"]
    _, added = fill(tmp_path, strength=2.0)
    assert {each["key"] for each in read_results(tmp_path).records} == {written["key"], added["key"]}
    # A damaged one is named, and computed again in the new format.
    path = tmp_path / "cells" / f"{written['key']}.json"
    path.write_text(path.read_text()[:-20])
    assert any(path.name in problem for problem in read_results(tmp_path).problems)
    assert ResultFolder(tmp_path).find(written["key"]) is None
    fill(tmp_path)
    assert read_results(tmp_path).problems == ()


@pytest.mark.parametrize("what", ["predictions of other sizes", "a folder", "no JSON"])
def test_damaged_files_of_format_version_1_are_named(tmp_path, what):
    _, written = fill(tmp_path)
    as_version_1(tmp_path)
    fill(tmp_path, strength=2.0)
    path = tmp_path / "cells" / f"{written['key']}.json"
    if what == "predictions of other sizes":
        np.savez(tmp_path / "predictions" / f"{written['key']}.npz", predicted=PREDICTED[:1])
        results = read_results(tmp_path)
        (old,) = (each for each in results.records if each["key"] == written["key"])
        with pytest.raises(UserError, match="are not those"):
            results.predictions(old)
        return
    path.unlink()
    if what == "a folder":
        path.mkdir()
    else:
        path.write_bytes(b"\xff")
    results = read_results(tmp_path)
    assert len(results.records) == 1
    assert [str(path) in problem for problem in results.problems] == [True]


def test_a_folder_without_results_says_how_to_make_some(tmp_path):
    with pytest.raises(UserError, match="holds no results"):
        read_results(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write results to"):
        ResultFolder(tmp_path / "file")


def test_a_folder_that_can_only_be_read_gives_its_records_and_takes_none(tmp_path, monkeypatch):
    _, written = fill(tmp_path)

    def refuse(path, purpose):
        raise UserError(f"cannot write {purpose} to {path}: Read-only file system")

    monkeypatch.setattr(folder_module, "writable_folder", refuse)
    folder = ResultFolder(tmp_path)
    assert folder.find(written["key"]) == written
    with pytest.raises(UserError, match=r"cannot write results to .*: Read-only file system"):
        folder.check_writable()
    with pytest.raises(UserError, match="Read-only file system"):
        folder.write_cell(record(strength=2.0) | {"draws": written["draws"]}, PREDICTED)


def test_what_follows_a_write_that_failed_is_in_new_files_and_whole(tmp_path, monkeypatch):
    import errno
    import os

    folder, written = fill(tmp_path, strength=1.0)
    write, left = os.write, [60]

    def disk_full(descriptor, data):
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        n = write(descriptor, bytes(data)[: left[0]])
        left[0] -= n
        return n

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", disk_full)
        with pytest.raises(OSError, match="No space left") as caught:
            folder.write_cell(record(strength=2.0) | {"draws": written["draws"]}, PREDICTED)
    assert str(tmp_path) in caught.value.filename
    assert len(read_results(tmp_path).problems) <= 1
    again = folder.write_cell(record(strength=2.0) | {"draws": written["draws"]}, PREDICTED)
    results = read_results(tmp_path)
    assert {each["key"] for each in results.records} == {written["key"], again["key"]}
    assert results.problems == ()


@pytest.mark.parametrize("edit", [edited_accuracy, edited_by_another_program])
def test_an_edited_record_is_named_by_reading_and_by_the_next_run(tmp_path, caplog, edit):
    folder, written = fill(tmp_path)
    _, other = fill(tmp_path / "other", strength=2.0)
    folder.close()
    change(tmp_path, written["key"], edit)
    results = read_results(tmp_path)
    assert results.records == ()
    (problem,) = results.problems
    assert str(line_file(tmp_path)) in problem
    assert "it was edited after it was written" in problem
    again = ResultFolder(tmp_path)
    for _ in range(2):
        assert again.find(written["key"]) is None
    (said,) = [each.getMessage() for each in caplog.records]  # once, however often it is looked up
    assert written["key"] in said
    assert "are computed again: it was edited" in said
    assert read_results(tmp_path / "other").records == (other,)


def test_edited_draws_are_named_and_what_needs_them_refuses_them(tmp_path, caplog):
    _, written = fill(tmp_path)
    edit_a_draw(tmp_path, written)
    results = read_results(tmp_path)
    assert results.records == (written,)
    (problem,) = results.problems
    assert str(tmp_path / "draws" / written["draws"]) in problem
    assert "was edited after it was written" in problem
    with pytest.raises(UserError, match="was edited after it was written"):
        results.draws(written)
    assert ResultFolder(tmp_path).find(written["key"]) is None
    assert "its clips are not those that its records describe" in caplog.text
    # The next run draws the clips again, and the record that stands there is right again too.
    fill(tmp_path)
    results = read_results(tmp_path)
    assert results.problems == ()
    np.testing.assert_array_equal(results.draws(written)["clips"], DRAWS["clips"])


def test_the_digest_of_draws_is_that_of_their_contents_and_not_of_how_they_are_stored(tmp_path):
    _, written = fill(tmp_path)
    file = tmp_path / "draws" / written["draws"]
    arrays = dict(np.load(file))
    arrays["clips"] = arrays["clips"].astype(np.uint32)
    arrays["clip_id"] = arrays["clip_id"].astype("U90")
    np.savez(file, **arrays)
    assert ResultFolder(tmp_path).find(written["key"]) == written
    assert read_results(tmp_path).problems == ()


def test_records_of_earlier_versions_have_no_digests_and_are_read_without_a_word(tmp_path, caplog):
    folder, written = fill(tmp_path)
    folder.close()
    without_digests(tmp_path)
    results = read_results(tmp_path)
    assert results.problems == ()
    old = {name: value for name, value in written.items() if name not in ("sha256", "draws_sha256")}
    assert results.records == (old,)
    np.testing.assert_array_equal(results.draws(old)["clips"], DRAWS["clips"])
    assert ResultFolder(tmp_path).find(written["key"]) == old
    assert caplog.text == ""


def test_the_record_of_the_newest_file_counts_in_whatever_order_files_are_read(tmp_path):
    index = Index(tmp_path)
    old, new = (Place(name, 0, 10) for name in ("20260101T000000Z-a.jsonl", "20260102T000000Z-a.jsonl"))
    for places in ((old, new), (new, old)):
        key = f"{len(index):020d}"
        for place in places:
            index.add(key, place)
        assert index.find(key) == new
    later = new._replace(offset=10)
    index.add(key, later)
    assert index.find(key) == later
    index.add(None, later)
    assert len(index) == 2
