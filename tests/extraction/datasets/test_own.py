"""Datasets of one's own: class folders, tables, a factory by import path, and unknown names."""

import pytest

from extraction.datasets import load_dataset
from extraction.planning import find_recordings
from jfewshot.errors import UserError
from tests.extraction.recordings import KINDS, write


def test_a_folder_of_class_folders_of_any_kind_of_file(tmp_path):
    for number in range(len(KINDS)):
        write(tmp_path / "owl" / f"clip{number}.x", number, kind=number)
    write(tmp_path / "wren" / "site7" / "a.wav", 9)
    (tmp_path / "wren" / "notes.txt").write_text("not audio")
    write(tmp_path / "wren" / ".hidden.wav", 9)
    dataset = load_dataset("folder:birds")
    recordings, left_out = find_recordings(dataset, tmp_path)
    assert dataset.info.name == "birds"
    assert [r.clip_id for r in recordings if r.label == "owl"] == [
        f"owl/clip{number}.{facts['ending']}" for number, facts in enumerate(KINDS)
    ]
    assert [(r.clip_id, r.group) for r in recordings if r.label == "wren"] == [("wren/site7/a.wav", "site7")]
    assert left_out == []


def test_clips_of_one_class_only_are_pointed_out(tmp_path, caplog):
    """The folder above or below the one that was meant."""
    write(tmp_path / "audio" / "a.wav", 0)
    write(tmp_path / "audio" / "b.wav", 1)
    find_recordings(load_dataset("folder:birds"), tmp_path)
    assert "birds: all 2 clips are of one class, 'audio', and an episode needs several" in caplog.text


def test_a_table_of_paths_labels_and_groups(tmp_path):
    write(tmp_path / "audio" / "a.wav", 0)
    (tmp_path / "birds.csv").write_text("path,label,group,split\naudio/a.wav,owl,site1,test\naudio/b.wav,owl,site2,\n")
    recordings, left_out = find_recordings(load_dataset(f"table:{tmp_path / 'birds.csv'}"), tmp_path)
    assert [(r.clip_id, r.label, r.group, r.split) for r in recordings] == [("audio/a.wav", "owl", "site1", "test")]
    assert left_out == [{"clip_id": "audio/b.wav", "reason": "file is missing"}]


def test_hugging_faces_audiofolder_is_a_table(tmp_path):
    write(tmp_path / "a.wav", 0)
    (tmp_path / "metadata.csv").write_text("file_name,label\na.wav,owl\n")
    recordings, _ = find_recordings(load_dataset(f"table:{tmp_path / 'metadata.csv'}"), tmp_path)
    assert [(r.clip_id, r.label) for r in recordings] == [("a.wav", "owl")]


def test_a_parquet_table(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    from pyarrow import parquet

    write(tmp_path / "a.wav", 0)
    columns = {"path": ["a.wav"], "label": ["owl"], "clip_id": ["first"], "group": [None]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "birds.parquet")
    recordings, _ = find_recordings(load_dataset(f"table:{tmp_path / 'birds.parquet'}"), tmp_path)
    assert [(r.clip_id, r.label, r.group) for r in recordings] == [("first", "owl", "")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,klass\na.wav,x\n", "no column label or class"),
        ("label\nx\n", "no column path or file_name"),
        ("path,label\n", "no rows"),
    ],
)
def test_tables_that_lack_something_are_refused(tmp_path, text, message):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        find_recordings(load_dataset(f"table:{tmp_path / 'bad.csv'}"), tmp_path)


def test_the_same_id_twice_is_refused(tmp_path):
    write(tmp_path / "a.wav", 0)
    (tmp_path / "twice.csv").write_text("path,label\na.wav,x\na.wav,y\n")
    with pytest.raises(UserError, match=r"'a\.wav' is there twice"):
        find_recordings(load_dataset(f"table:{tmp_path / 'twice.csv'}"), tmp_path)


def test_unknown_names_get_near_ones():
    with pytest.raises(UserError, match="did you mean esc50"):
        load_dataset("esc5")
    with pytest.raises(UserError, match="cannot import dataset"):
        load_dataset("no_such_module:birds")
