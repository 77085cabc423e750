import os

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.files.csv_cells import csv_text
from jfewshot.store import create_store, open_store
from jfewshot.store.__main__ import main

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
LABELS = ["owl", "wren"] * 6


@pytest.fixture
def create(tmp_path, monkeypatch):
    np.save(tmp_path / "X.npy", X)
    (tmp_path / "labels.csv").write_text("class\n" + "owl\nwren\n" * 6)

    def run(out, *more):
        files = ["--embeddings", str(tmp_path / "X.npy"), "--labels", str(tmp_path / "labels.csv")]
        return main(["create", *files, "--dataset", "d", "--upstream", "u", "--out", str(out), *more])

    return run


def snapshot(folder):
    return sorted(
        (path.relative_to(folder).as_posix(), path.is_dir() or path.read_bytes()) for path in folder.rglob("*")
    )


def test_somebodys_folder_a_folder_of_stores_and_a_changed_store_are_left_as_they_are(tmp_path, create, capsys):
    papers, stores, changed = tmp_path / "papers", tmp_path / "stores", tmp_path / "changed"
    (papers / ".git").mkdir(parents=True)
    (papers / "thesis.txt").write_text("work")
    for upstream in "ab":
        create_store(stores / upstream, X, LABELS, dataset="d", upstream=upstream)
    create_store(changed, X, LABELS, dataset="d", upstream="u")
    (changed / "notes.txt").write_text("work")
    for folder, named in ((papers, "'.git/', 'thesis.txt'"), (stores, "'a/', 'b/'"), (changed, "'notes.txt'")):
        before = snapshot(folder)
        for more in ((), ("--replace",)):
            with pytest.raises(UserError) as error:
                create(folder, *more)
            assert named in str(error.value)
            assert "\n" not in str(error.value)
        assert snapshot(folder) == before


def test_a_store_is_replaced_where_that_is_asked(tmp_path, create):
    create(tmp_path / "s")
    with pytest.raises(UserError, match=r"a finished store is there already.*--replace"):
        create(tmp_path / "s")
    create(tmp_path / "s", "--replace", "--view", "first.mean")
    assert sorted(os.listdir(tmp_path / "s")) == ["clips.csv", "first.mean.npy", "manifest.json"]
    assert open_store(tmp_path / "s").views == ("first.mean",)


def test_a_manifest_of_another_kind_makes_a_folder_no_store(tmp_path, create):
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"name": "an app", "views": {}}')
    with pytest.raises(UserError, match=r"holds 'manifest\.json'"):
        create(folder, "--replace")
    assert (folder / "manifest.json").read_text().startswith('{"name"')


@pytest.mark.parametrize(
    "name", ["\rowl", "ow\rl", "owl\r", "a\nb", 'a"b', "a,b", "'", "'=x", "=cmd()", "-1", " owl", "\u2028"]
)
def test_names_with_ends_of_lines_and_quotes_come_back(tmp_path, name):
    labels, ids = [name, "wren"] * 6, [f"{name}{number}" for number in range(12)]
    store = create_store(tmp_path / "s", X, labels, dataset="d", upstream="u", clip_ids=ids, groups=labels)
    assert set(store.clips.class_name.tolist()) == set(store.clips.group.tolist()) == {name, "wren"}
    assert set(store.clips.clip_id.tolist()) == set(ids)


def test_a_table_that_does_not_read_back_replaces_nothing(tmp_path, monkeypatch):
    from jfewshot.store import clips

    create_store(tmp_path / "s", X, LABELS, dataset="d", upstream="u")
    before = snapshot(tmp_path / "s")
    monkeypatch.setattr(clips, "csv_text", lambda rows: csv_text(rows).replace("owl", "oil"))
    with pytest.raises(UserError, match=r"clips\.csv was read back and differs"):
        create_store(tmp_path / "s", X, LABELS, dataset="d", upstream="u", replace=True)
    assert snapshot(tmp_path / "s") == before


def test_the_digest_taken_while_writing_is_that_of_the_file(tmp_path):
    create_store(
        tmp_path / "s",
        {"a.mean": X, "b.mean": np.asfortranarray(X.astype(np.float16))},
        LABELS,
        dataset="d",
        upstream="u",
    )
    store = open_store(tmp_path / "s")
    for view in store.views:
        store.check_digest(view)
