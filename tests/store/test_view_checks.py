"""Views that are checked before they are used, and files that are known."""

import hashlib
import os
import time

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.store import known_files, open_store
from jfewshot.store.known_files import Found
from jfewshot.store.view_checks import CheckedViews, Wanted, read_through
from tests.synthetic_stores import clip_table, make_store


def wanted(path, name="last.mean"):
    store = open_store(path)
    return Wanted(store, name, store.clips)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(known_files, "_WORTH_KNOWING", 1)
    return tmp_path / "cache" / "jfewshot" / "checked"


def settle(path, seconds=60.0):
    at = time.time() - seconds
    os.utime(path, (at, at))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (4096, 131), (2048, 256)])
@pytest.mark.parametrize("bad", [None, np.nan, np.inf, -np.inf])
def test_a_file_is_digested_and_searched_to_its_last_number(tmp_path, dtype, shape, bad):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    x[0, 0] = np.finfo(dtype).max
    for at in (0, -1) if bad is not None else (0,):
        if bad is not None:
            x = x.copy()
            x.flat[at] = bad
        path = tmp_path / "x.npy"
        np.save(path, x)
        found = read_through(path, np.load(path, mmap_mode="r"))
        assert found == (hashlib.sha256(path.read_bytes()).hexdigest(), bad is None)


def test_the_view_after_this_one_is_checked_meanwhile(tmp_path, cache):
    first, second = make_store(tmp_path / "a"), make_store(tmp_path / "b")
    checked = CheckedViews()
    view = checked.get(wanted(first.path), wanted(second.path))
    np.testing.assert_array_equal(view, first.view("last.mean"))
    before = checked._checks[wanted(second.path).key]
    assert checked.get(wanted(second.path)) is before.result(60)
    # What happens to the file after its check is seen.
    second.view_path("last.mean").write_bytes(b"something else")
    with pytest.raises(UserError, match="is truncated or not an array"):
        checked.get(wanted(second.path))


def test_a_damaged_view_is_reported_when_it_is_asked_for_and_good_once_mended(tmp_path):
    first, second = make_store(tmp_path / "a"), make_store(tmp_path / "b")
    path = second.view_path("last.mean")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    checked = CheckedViews()
    checked.get(wanted(first.path), wanted(second.path))
    with pytest.raises(UserError, match="is not the file that manifest"):
        checked.get(wanted(second.path))
    path.write_bytes(whole)
    assert len(checked.get(wanted(second.path)))


def test_nan_in_rows_of_no_clip_is_nobodys(tmp_path):
    table = clip_table((4, 4))
    x = np.random.default_rng(0).normal(size=(table.n_rows, 3)).astype(np.float32)
    x[int(table.first_segment[0])] = np.nan
    store = make_store(tmp_path, table, views={"last.mean": x})
    with pytest.raises(UserError, match=f"NaN or infinite, the first of clip '{table.clip_id[0]}'"):
        CheckedViews().get(Wanted(store, "last.mean", store.clips))
    others = store.clips.select(np.arange(1, len(table)))
    assert len(CheckedViews().get(Wanted(store, "last.mean", others))) == len(x)


def test_a_known_file_is_not_read_again(tmp_path, cache, monkeypatch):
    store = make_store(tmp_path / "a")
    settle(store.view_path("last.mean"))
    CheckedViews().get(wanted(store.path))
    assert len(list(cache.iterdir())) == 1

    def read(path, view):
        raise AssertionError("read again")

    monkeypatch.setattr("jfewshot.store.view_checks.read_through", read)
    CheckedViews().get(wanted(store.path))
    # Another file under its name is another file, whatever its time says.
    path = store.view_path("last.mean")
    data = path.read_bytes()
    times = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(AssertionError, match="read again"):
        CheckedViews().get(wanted(store.path))


def test_a_known_file_still_has_to_be_the_manifests(tmp_path, cache):
    store = make_store(tmp_path / "a")
    path = store.view_path("last.mean")
    settle(path)
    known_files.remember(path, path.stat(), Found("0" * 64, True))
    with pytest.raises(UserError, match="is not the file that manifest"):
        CheckedViews().get(wanted(store.path))


def test_nothing_is_noted_of_a_file_just_written_or_where_nothing_can_be_kept(tmp_path, cache, monkeypatch):
    store = make_store(tmp_path / "a")
    path = store.view_path("last.mean")
    settle(path, seconds=0.0)
    CheckedViews().get(wanted(store.path))
    assert not cache.exists()
    settle(path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))  # a file, not a folder
    CheckedViews().get(wanted(store.path))
    assert known_files.recall(path) is None


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"file": []}', "null"])
def test_a_note_that_makes_no_sense_is_not_believed(tmp_path, cache, note):
    store = make_store(tmp_path / "a")
    path = store.view_path("last.mean")
    settle(path)
    known_files.remember(path, path.stat(), Found("0" * 64, True))
    (only,) = cache.iterdir()
    only.write_text(note)
    assert known_files.recall(path) is None
    assert len(CheckedViews().get(wanted(store.path)))


@pytest.mark.parametrize("changed", ["st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"])
def test_every_mark_of_a_file_belongs_to_what_is_known_of_it(tmp_path, cache, monkeypatch, changed):
    path = make_store(tmp_path / "a").view_path("last.mean")
    settle(path)
    known_files.remember(path, path.stat(), Found("0" * 64, True))
    assert known_files.recall(path) is not None
    real = path.stat()
    values = {name: getattr(real, name) for name in ("st_mtime_ns", "st_ctime_ns")}
    fields = list(real[:10])
    if changed in values:
        values[changed] += 1
    else:
        fields[{"st_ino": 1, "st_dev": 2, "st_size": 6}[changed]] += 1
    other = os.stat_result(fields, values)
    stat = type(path).stat
    monkeypatch.setattr(type(path), "stat", lambda self, **_: other if self == path else stat(self, **_))
    assert known_files.recall(path) is None
