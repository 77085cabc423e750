"""Datasets of one's own: class folders, tables, a factory by import path, and unknown names."""

import numpy as np
import pytest
import soundfile

from extraction.datasets import load_dataset
from extraction.datasets.base import Columns, Recording
from extraction.datasets.filters import leave_out_small_classes
from extraction.decoding import decode_clip
from extraction.pipeline import extract
from extraction.planning import find_recordings
from extraction.settings import ExtractionSettings
from jfewshot.errors import UserError
from jfewshot.store import open_store
from tests.extraction.recordings import KINDS, write
from tests.extraction.toy import ToyEncoder, class_folders


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


def test_a_damaged_parquet_table_is_named(tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    (tmp_path / "birds.parquet").write_bytes(b"PAR1 is not enough")
    with pytest.raises(
        UserError, match=r"birds\.parquet cannot be read as a Parquet file: .*; write it again"
    ) as refused:
        find_recordings(load_dataset(f"table:{tmp_path / 'birds.parquet'}"), tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,klass\na.wav,x\n", "no column label or class.*with --column.label"),
        ("label\nx\n", "no column path or file_name.*with --column.audio"),
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
    with pytest.raises(UserError, match=r"2 rows name 'a\.wav', but each row must be a different clip"):
        find_recordings(load_dataset(f"table:{tmp_path / 'twice.csv'}"), tmp_path)


def test_unknown_names_get_near_ones():
    with pytest.raises(UserError, match="did you mean esc50"):
        load_dataset("esc5")
    with pytest.raises(UserError, match="cannot import dataset"):
        load_dataset("no_such_module:birds")


def tone(path, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(np.arange(16_000) / 9), 16_000, **how)


@pytest.mark.parametrize(
    ("ending", "form"),
    [
        *[
            ("au", "AU"),
            ("snd", "AU"),
            ("w64", "W64"),
            ("caf", "CAF"),
            ("aiff", "AIFF"),
            ("AIF", "AIFF"),
            ("rf64", "RF64"),
        ],
        *[("sph", "NIST"), ("voc", "VOC"), ("oga", "OGG"), ("wave", "WAV"), ("mp3", "MP3"), ("FLAC", "FLAC")],
    ],
)
def test_what_the_decoder_reads_is_taken(tmp_path, ending, form):
    tone(tmp_path / "owl" / f"a.{ending}", format=form)
    tone(tmp_path / "rook" / "b.wav")
    recordings, left_out = find_recordings(load_dataset("folder:birds"), tmp_path)
    assert [r.clip_id for r in recordings] == [f"owl/a.{ending}", "rook/b.wav"]
    assert left_out == []
    assert len(decode_clip(recordings[0].path, [16_000]).waves[16_000]) == pytest.approx(16_000, abs=10)


@pytest.mark.parametrize("ending", ["m4a", "wma", "mp4", "aac", "amr", "webm", "M4A", "ape", "wv"])
def test_a_format_that_is_not_read_is_listed_with_the_fix_and_its_class_named(tmp_path, ending, caplog):
    tone(tmp_path / "owl" / "a.wav")
    tone(tmp_path / "wren" / "b.wav")
    (tmp_path / "rook").mkdir()
    for path in (
        tmp_path / "owl" / f"c.{ending}",
        tmp_path / "rook" / f"d.{ending}",
        tmp_path / "rook" / f"e.{ending}",
    ):
        path.write_bytes(b"what this program cannot read")
    recordings, left_out = find_recordings(load_dataset("folder:birds"), tmp_path)
    assert [r.clip_id for r in recordings] == ["owl/a.wav", "wren/b.wav"]
    assert [item["clip_id"] for item in left_out] == [f"owl/c.{ending}", f"rook/d.{ending}", f"rook/e.{ending}"]
    fix = f"format not read: convert it with ffmpeg, for instance `ffmpeg -i c.{ending} c.flac`"
    assert left_out[0]["reason"] == fix
    assert "birds: 3 clips left out" in caplog.text
    assert f"1 class has no clip that can be used: rook (2 clips, the first: {fix.replace('c.', 'd.')})" in caplog.text


def test_a_folder_without_any_audio_is_named(tmp_path, caplog):
    tone(tmp_path / "owl" / "a.wav")
    (tmp_path / "rook").mkdir()
    (tmp_path / "rook" / "x.xyz").write_bytes(b"?")
    (tmp_path / "wren").mkdir()
    find_recordings(load_dataset("folder:birds"), tmp_path)
    assert (
        "2 folders hold no audio and are not used as classes: rook (1 .xyz); wren (empty). Audio files are those that end in .wav"
        in caplog.text
    )


def test_a_dataset_of_unread_formats_alone_is_refused_with_the_fix(tmp_path):
    (tmp_path / "owl").mkdir()
    (tmp_path / "owl" / "a.m4a").write_bytes(b"?")
    with pytest.raises(
        UserError, match=r"no clips of birds below .* \(1 left out, the first: owl/a\.m4a: format not read: convert"
    ):
        find_recordings(load_dataset("folder:birds"), tmp_path)


def test_a_table_of_unread_formats_lists_them_before_anything_is_decoded(tmp_path):
    tone(tmp_path / "a.wav")
    (tmp_path / "b.m4a").write_bytes(b"?")
    (tmp_path / "birds.csv").write_text("path,label\na.wav,owl\nb.m4a,owl\n")
    recordings, left_out = find_recordings(load_dataset(f"table:{tmp_path / 'birds.csv'}"), tmp_path)
    assert [r.clip_id for r in recordings] == ["a.wav"]
    assert "convert it with ffmpeg" in left_out[0]["reason"]


def test_classes_too_small_are_counted_without_unread_formats(tmp_path):
    files = [tmp_path / name for name in ("a.wav", "b.m4a", "c.m4a")]
    found = leave_out_small_classes([Recording(path.name, path, "owl") for path in files], 2)
    assert found[0].left_out == "class 'owl' has 1 clips, fewer than 2"
    assert "convert it" in found[1].left_out


def test_further_columns_of_a_table_go_into_the_store(tmp_path):
    paths = sorted(path for path in class_folders(tmp_path / "clips").rglob("*") if path.is_file())
    rows = [f"{path.relative_to(tmp_path / 'clips')},{path.parent.name},site{i % 2}" for i, path in enumerate(paths)]
    table = tmp_path / "birds.csv"
    table.write_text("\n".join(["path,label,site", *rows, "gone.wav,x,"]) + "\n")
    settings = ExtractionSettings(workers=0)
    for further in ((), ("site",)):
        dataset = load_dataset(f"table:{table}", Columns(further=further))
        extract(dataset, tmp_path / "clips", [ToyEncoder()], tmp_path / f"out{len(further)}", settings)
    plain, store = (open_store(tmp_path / f"out{n}" / "birds" / "toy") for n in (0, 1))
    assert not plain.clips.further
    assert plain.clips.digest == store.clips.digest
    of_clip = {row.split(",")[0]: row.split(",")[2] for row in rows}
    assert store.clips.further["site"].tolist() == [of_clip[clip] for clip in store.clips.clip_id]
    with pytest.raises(UserError, match="no column where"):
        load_dataset(f"table:{table}", Columns(further=("where",))).recordings(tmp_path / "clips")
    with pytest.raises(UserError, match="dataset 'folder:x' has no table"):
        load_dataset("folder:x", Columns(further=("site",)))


@pytest.mark.parametrize(
    ("rows", "fix"),
    [
        ("owl/a,owl\n", "Add the ending .wav to its paths"),
        ("owl\\a.wav,owl\n", "Write / instead of"),
        ("birds/owl/a.wav,owl\n", "Give the folder to which its paths are relative as --root"),
    ],
)
def test_paths_that_lead_nowhere_are_refused_with_the_fix(tmp_path, rows, fix):
    write(tmp_path / "owl" / "a.wav", 0)
    (tmp_path / "clips.csv").write_text(f"path,label\n{rows}")
    with pytest.raises(UserError, match=f"none of its 1 clips is in .* {fix}"):
        load_dataset(f"table:{tmp_path / 'clips.csv'}").recordings(tmp_path)


def test_rows_of_one_file_whose_times_are_in_columns_of_other_names_are_refused_with_the_options(tmp_path):
    write(tmp_path / "dawn.wav", 0)
    (tmp_path / "clips.csv").write_text("path,label,begin t,stop\ndawn.wav,owl,0,1\ndawn.wav,wren,1,2\n")
    with pytest.raises(UserError, match=r"2 rows name 'dawn.wav'.*--column\.start 'begin t' --column\.end stop"):
        load_dataset(f"table:{tmp_path / 'clips.csv'}").recordings(tmp_path)


def test_rows_without_a_label_and_files_whose_names_are_no_utf8_are_left_out(tmp_path):
    write(tmp_path / "owl" / "a.wav", 0)
    write(tmp_path / "owl" / "b.wav", 1)
    (tmp_path / "clips.csv").write_text("path,label\nowl/a.wav,owl\nowl/b.wav, \n")
    clips = load_dataset(f"table:{tmp_path / 'clips.csv'}").recordings(tmp_path)
    assert [one.left_out for one in clips] == ["", "no label"]
    try:
        (tmp_path / "owl" / "b.wav").rename(tmp_path / "owl" / "\udce4.wav")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes names in UTF-8 only")
    clips = load_dataset("folder:birds").recordings(tmp_path)
    assert [(one.clip_id, one.left_out) for one in clips] == [
        ("owl/\\xe4.wav", "its name is not UTF-8 text; rename it"),
        ("owl/a.wav", ""),
    ]
