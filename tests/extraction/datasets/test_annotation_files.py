"""Raven's and Audacity's files are read as they were written, by us and by crowsetta."""

from pathlib import Path

import pytest

from extraction.datasets.annotation_files import Selection, read_audacity, read_raven, write_audacity, write_raven
from extraction.datasets.annotation_tables import read_csv
from extraction.datasets.base import Columns
from jfewshot.errors import UserError

WRITTEN = [
    Selection(1, 0.0, 5.0, "Übung a", "dawn.wav", 0.25),
    Selection(2, 7.5, 12.25, "0", "dawn.wav", -1.5),
    Selection(3, 12.25, 3600.123456, "tab\tand line\n", "dawn.wav"),
]
LABELS = ["Übung a", "0", "tab and line"]


def test_what_is_written_reads_back(tmp_path):
    write_raven(tmp_path / "a" / "dawn.wav.selections.txt", WRITTEN, 16_000)
    write_audacity(tmp_path / "b" / "dawn.wav.txt", WRITTEN)
    raven = list(read_raven(tmp_path / "a" / "dawn.wav.selections.txt", Columns()))
    audacity = list(read_audacity(tmp_path / "b" / "dawn.wav.txt", Columns()))
    assert [one.file for one in raven] == ["dawn.wav"] * 3
    for read in (raven, audacity):
        assert [one.label for one in read] == LABELS
        assert [(one.start_s, one.end_s) for one in read] == [(one.start_s, one.end_s) for one in WRITTEN]


# Of pandas, which crowsetta uses in a way that pandas 3.1 deprecates.
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_crowsetta_reads_what_is_written(tmp_path):
    crowsetta = pytest.importorskip("crowsetta")
    path = tmp_path / "dawn.wav.selections.txt"
    write_raven(path, [*WRITTEN[:1], *WRITTEN[2:]], 16_000)
    boxes = crowsetta.formats.bbox.Raven.from_file(path).to_bbox()
    assert [(box.onset, box.offset, box.label) for box in boxes] == [
        (0.0, 5.0, LABELS[0]),
        (12.25, 3600.123456, LABELS[2]),
    ]
    assert (boxes[0].low_freq, boxes[0].high_freq) == (0.0, 8000.0)
    path = tmp_path / "dawn.wav.txt"
    write_audacity(path, [*WRITTEN[:1], *WRITTEN[2:]])
    found = crowsetta.formats.seq.AudSeq.from_file(path)
    assert list(found.start_times) == [0.0, 12.25]
    assert list(found.end_times) == [5.0, 3600.123456]
    assert list(found.labels) == [LABELS[0], LABELS[2]]


def test_a_recording_without_labels_has_a_file_that_says_so(tmp_path):
    write_raven(tmp_path / "raven.txt", [], 16_000)
    write_audacity(tmp_path / "audacity.txt", [])
    assert list(read_raven(tmp_path / "raven.txt", Columns())) == []
    assert list(read_audacity(tmp_path / "audacity.txt", Columns())) == []


def examples(crowsetta):
    return Path(crowsetta.__file__).parent / "examples"


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_tables_of_other_programs_are_read_as_crowsetta_reads_them_with_their_frequencies():
    crowsetta = pytest.importorskip("crowsetta")
    path = examples(crowsetta) / "Recording_1_Segment_02.Table.1.selections.txt"
    boxes = crowsetta.formats.bbox.Raven.from_file(path, annot_col="Species").to_bbox()
    ours = list(read_raven(path, Columns(further=("Channel",))))
    assert len(ours) == len(boxes) > 5
    for one, box in zip(ours, boxes, strict=True):
        assert (one.start_s, one.end_s, one.label) == (box.onset, box.offset, box.label)
        further = dict(one.further)
        assert [float(further[name]) for name in ("low_hz", "high_hz")] == [box.low_freq, box.high_freq]
        assert further["Channel"] == "1"
    path = examples(crowsetta) / "spinetail.txt"
    boxes = crowsetta.formats.bbox.AudBBox.from_file(path).to_bbox()
    ours = list(read_audacity(path, Columns()))
    assert len(ours) == len(boxes) > 5
    for one, box in zip(ours, boxes, strict=True):
        assert (one.start_s, one.end_s, one.label) == (box.onset, box.offset, box.label)
        assert [float(text) for _, text in one.further] == [box.low_freq, box.high_freq]


def test_csv_files_of_other_programs_are_read_as_crowsetta_reads_them(tmp_path):
    crowsetta = pytest.importorskip("crowsetta")
    path = examples(crowsetta) / "bird1.csv"
    (annotation, *_) = crowsetta.formats.seq.GenericSeq.from_file(path).to_annot()
    ours = list(read_csv(path, Columns()))
    expected = zip(annotation.seq.onsets_s, annotation.seq.offsets_s, annotation.seq.labels, strict=True)
    assert [(one.start_s, one.end_s, one.label) for one in ours][: len(annotation.seq.labels)] == list(expected)
    assert ours[0].file == annotation.notated_path.name
    path = examples(crowsetta) / "bl26lb16_190412_0721.20144_annotations.csv"
    columns = {"start_seconds": "onset_s", "stop_seconds": "offset_s", "name": "label"}
    read = crowsetta.formats.seq.SimpleSeq.from_file(path, columns_map=columns)
    ours = list(read_csv(path, Columns()))
    assert len(ours) > 5
    assert [(one.start_s, one.end_s, one.label) for one in ours] == list(
        zip(read.onsets_s, read.offsets_s, read.labels, strict=True)
    )


def test_columns_of_csv_files_are_named_or_known(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("Species;Onset;Offset;low_freq;site;bird\nowl;0.5;1.5;200;a;7\n")
    (one,) = read_csv(path, Columns(group="bird", further=("site",)))
    assert (one.label, one.start_s, one.end_s, one.file, one.group) == ("owl", 0.5, 1.5, "", "7")
    assert one.further == (("low_hz", "200"), ("site", "a"))
    for columns, message in (
        (Columns(label="kind"), "has no column kind; it has Species"),
        (Columns(further=("mic",)), "has no column mic"),
    ):
        with pytest.raises(UserError, match=message):
            list(read_csv(path, columns))
    path.write_text("kind,start\nowl,1\n")
    with pytest.raises(UserError, match=r"has no column of the class .* Name it with --column.label"):
        list(read_csv(path, Columns()))
    with pytest.raises(
        UserError, match=r"has no column of where a stretch ends, in seconds .* Name it with --column.end"
    ):
        list(read_csv(path, Columns(label="kind")))
    path.write_text("label,start,end\nowl,1,x\n")
    with pytest.raises(UserError, match="line 2, end: 'x' is no number of seconds"):
        list(read_csv(path, Columns()))
