"""Raven's and Audacity's files are read as they were written, by us and by crowsetta."""

import pytest

from extraction.datasets.annotation_files import Selection, read_audacity, read_raven, write_audacity, write_raven
from extraction.datasets.base import Columns

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
