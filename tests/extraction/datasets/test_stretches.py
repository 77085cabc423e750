"""Clips that are stretches of long recordings: from tables, and from what annotation programs write."""

import dataclasses
import shutil

import numpy as np
import pytest
import soundfile

from extraction.datasets import load_dataset
from extraction.datasets.base import Columns, Recording
from extraction.datasets.filters import leave_out_longer_than, leave_out_overlaps, with_windows
from extraction.estimating import count_segments
from extraction.pipeline import extract
from extraction.planning import find_recordings
from extraction.run import main
from extraction.settings import ExtractionSettings
from jfewshot.audio import cut_segments, decode
from jfewshot.errors import UserError
from jfewshot.store import open_store
from tests.extraction.toy import ToyEncoder

RAVEN = """Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation
1\tWaveform 1\t1\t0.500000000\t1.250000000\t0.0\t8000.0\towl
1\tSpectrogram 1\t1\t0.500000000\t1.250000000\t0.0\t8000.0\towl
2\tWaveform 1\t1\t2.000000000\t2.600000000\t0.0\t8000.0\twren "small"
2\tSpectrogram 1\t1\t2.000000000\t2.600000000\t0.0\t8000.0\twren "small"
3\tSpectrogram 1\t1\t3.000000000\t3.500000000\t0.0\t8000.0\t
"""


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    for name in ("dawn.wav", "site2/dusk.flac", "dawn.chorus.wav"):
        (folder / name).parent.mkdir(exist_ok=True)
        soundfile.write(folder / name, 0.1 * rng.standard_normal(4 * 16_000), 16_000)
    return folder


def ids(recordings):
    return [(one.clip_id, one.label, one.group) for one in recordings]


def test_a_table_with_times_makes_stretches_whose_group_is_the_recording(audio, tmp_path):
    table = tmp_path / "birds.csv"
    table.write_text("path,label,start_s,end_s\ndawn.wav,owl,0.5,1.25\nsite2/dusk.flac,wren,0,2\ndawn.wav,owl,1,1.01\n")
    recordings, left_out = find_recordings(load_dataset(f"table:{table}"), audio)
    assert ids(recordings) == [
        ("dawn.wav:0.5-1.25", "owl", "dawn.wav"),
        ("site2/dusk.flac:0-2", "wren", "site2/dusk.flac"),
    ]
    assert left_out == [{"clip_id": "dawn.wav:1-1.01", "reason": "too short: 10 ms, less than 25 ms"}]
    assert [one.left_out for one in leave_out_longer_than(recordings, 1.0)] == ["", "2 s long, more than 1 s"]
    grouped = tmp_path / "grouped.csv"
    grouped.write_text("path,label,group,begin,stop\ndawn.wav,owl,site1,0.5,1.25\ndawn.wav,owl,,2,3\n")
    columns = Columns(start="begin", end="stop")
    recordings, _ = find_recordings(load_dataset(f"table:{grouped}", columns), audio)
    assert [one.group for one in recordings] == ["site1", ""]  # a group that is not known is not guessed


def test_a_store_of_stretches_holds_what_full_decodes_hold(audio, tmp_path):
    table = tmp_path / "birds.csv"
    table.write_text(
        "path,label,start_s,end_s\ndawn.wav,owl,0.5,1.25\nsite2/dusk.flac,wren,0.1,2\nsite2/dusk.flac,owl,2,4.5\n"
    )
    settings = ExtractionSettings(workers=0, on_error="skip")
    extract(load_dataset(f"table:{table}"), audio, [ToyEncoder()], tmp_path, settings)
    store = open_store(tmp_path / "birds" / "toy")
    (left_out,) = store.manifest["left_out"]
    assert left_out["clip_id"] == "site2/dusk.flac:2-4.5"
    assert "ends behind the recording (4.00 s)" in left_out["reason"]
    for name, first, count in zip(store.clips.clip_id, store.clips.first_segment, store.clips.n_segments, strict=True):
        path, _, times = str(name).rpartition(":")
        start_s, end_s = map(float, times.split("-"))
        wave, rate = decode(audio / path)
        segments = cut_segments(wave[round(start_s * rate) : round(end_s * rate)], 8_000, 400)
        assert count == len(segments)
        expected = ToyEncoder().encode(segments, ["last"])["last"].mean(1)
        np.testing.assert_allclose(store.view("last.mean")[first : first + count], expected, rtol=1e-5, atol=1e-7)
    again = ExtractionSettings(workers=0, on_error="skip", overlaps="keep")
    table.write_text(table.read_text().replace("0.5,1.25", "0.5,1.5"))
    with pytest.raises(UserError, match="other clips"):
        extract(load_dataset(f"table:{table}"), audio, [ToyEncoder()], tmp_path, again)


def test_stretches_of_two_classes_that_overlap_are_left_out_unless_they_are_to_be_kept(audio, tmp_path):
    rows = [("owl", 0, 2), ("owl", 1, 2.5), ("wren", 2.4, 3), ("wren", 3, 3.5), ("frog", 3.5, 4)]
    given = [
        Recording(f"{n}", audio / "dawn.wav", *row[:1], start_s=row[1], end_s=row[2]) for n, row in enumerate(rows)
    ]
    given.append(Recording("elsewhere", audio / "dawn.chorus.wav", "frog", start_s=2.4, end_s=3.0))
    reasons = {one.clip_id: one.left_out for one in leave_out_overlaps(given)}
    assert reasons.pop("1") == "overlaps with 'wren' from 2.4 to 3 s of the same recording"
    assert reasons.pop("2") == "overlaps with 'owl' from 1 to 2.5 s of the same recording"
    assert set(reasons.values()) == {""}
    table = tmp_path / "t.csv"
    table.write_text("path,label,start_s,end_s\ndawn.wav,owl,0,2\ndawn.wav,wren,1,3\ndawn.wav,wren,3,4\n")
    dataset = load_dataset(f"table:{table}")
    assert len(find_recordings(dataset, audio)[0]) == 1
    assert len(find_recordings(dataset, audio, settings=ExtractionSettings(overlaps="keep"))[0]) == 3


def test_ravens_selections_are_taken_once_and_those_without_a_label_are_listed(audio, tmp_path):
    (tmp_path / "dawn.Table.1.selections.txt").write_text(RAVEN)
    recordings, left_out = find_recordings(load_dataset(f"raven:{tmp_path}"), audio)
    assert ids(recordings) == [
        ("dawn.wav:0.5-1.25", "owl", "dawn.wav"),
        ("dawn.wav:2-2.6", 'wren "small"', "dawn.wav"),
    ]
    assert left_out == [{"clip_id": "dawn.wav:3-3.5", "reason": "has no label (dawn.Table.1.selections.txt, line 6)"}]


@pytest.mark.parametrize("within", [False, True])
def test_the_commands_look_for_the_recordings_of_annotations_in_root(audio, tmp_path, within):
    # Annotations may lie apart from the recordings or in a folder among them.
    recordings = tmp_path / "audio"
    shutil.copytree(audio, recordings)
    selections = (recordings if within else tmp_path) / "sel"
    selections.mkdir()
    (selections / "dawn.Table.1.selections.txt").write_text(RAVEN)
    asked = ["--datasets", f"raven:{selections}", "--root", str(recordings)]
    toy = ["--upstreams", "tests.extraction.toy:ToyEncoder"]
    main([*asked, *toy, "--out", str(tmp_path / "stores"), "--workers", "0", "--on-error", "skip"])
    store = open_store(tmp_path / "stores" / "sel" / "toy")
    assert store.clips.clip_id.tolist() == ["dawn.wav:0.5-1.25", "dawn.wav:2-2.6"]
    assert count_segments(f"raven:{selections}", recordings, alone=True) == ("sel", 2)


def test_a_combined_table_of_raven_names_its_recordings_and_begins_anew_in_each(audio, tmp_path):
    (tmp_path / "all.txt").write_text(
        "Selection\tBegin Time (s)\tEnd Time (s)\tBegin Path\tFile Offset (s)\tKind\n"
        "1\t0.5\t1.0\tC:\\field\\dawn.wav\t0.5\towl\n"
        "2\t5.0\t6.0\t/home/me/site2/dusk.flac\t1.0\twren\n"
        "3\t9.0\t9.5\tlost.wav\t1.0\twren\n"
    )
    with pytest.raises(
        UserError, match=r"has no column Annotation, .*; it has Selection, .*Kind\. Name the column of the class"
    ):
        find_recordings(load_dataset(f"raven:{tmp_path}"), audio)
    recordings, left_out = find_recordings(load_dataset(f"raven:{tmp_path}", Columns(label="Kind")), audio)
    assert [one.clip_id for one in recordings] == ["dawn.wav:0.5-1", "site2/dusk.flac:1-2"]
    (lost,) = left_out
    assert lost["reason"] == f"no recording of this name below {audio} (all.txt)"


def test_audacitys_label_tracks(audio, tmp_path):
    (tmp_path / "dusk.txt").write_text("0.5\t1.25\towl\n\\\t1000.0\t2000.0\n2.000000\t2.600000\tsmall wren\n\n")
    (tmp_path / "dawn.chorus.txt").write_text("1\t2\tfrog\n")
    recordings, left_out = find_recordings(load_dataset(f"audacity:{tmp_path}"), audio)
    assert [(one.clip_id, one.label) for one in recordings] == [
        ("dawn.chorus.wav:1-2", "frog"),
        ("site2/dusk.flac:0.5-1.25", "owl"),
        ("site2/dusk.flac:2-2.6", "small wren"),
    ]
    assert left_out == []


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("audacity", "0.5 1.25 owl\n", "line 1: '0.5 1.25 owl' is no label of Audacity"),
        ("audacity", "0,5\t1,25\towl\n", "line 1: '0,5' is no number of seconds"),
        ("audacity", "", "hold no selection"),
        ("raven", "a\tb\n1\t2\n", "has no column 'Selection'"),
        ("raven", "Selection\tAnnotation\n1\towl\n", "has no column Begin Time"),
        ("raven", RAVEN.replace("2.6", "-1"), "line 4, End Time .s.: '-1.*' is no number of seconds"),
    ],
)
def test_annotations_that_cannot_be_read_are_refused_by_their_line(audio, tmp_path, kind, text, message):
    (tmp_path / "dawn.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        load_dataset(f"{kind}:{tmp_path}").recordings(audio)


def test_a_folder_without_annotations_and_a_table_with_one_time_are_refused(audio, tmp_path):
    with pytest.raises(UserError, match=r"holds no file that ends in \.txt"):
        load_dataset(f"raven:{tmp_path}").recordings(audio)
    with pytest.raises(UserError, match="is not a folder; give the folder of the annotations"):
        load_dataset(f"raven:{tmp_path / 'x'}")
    (tmp_path / "t.csv").write_text("path,label,start_s\ndawn.wav,owl,1\n")
    with pytest.raises(UserError, match="says where clips begin and has no column end_s: a stretch needs both"):
        load_dataset(f"table:{tmp_path / 't.csv'}").recordings(audio)


def test_windows_around_stretches_lie_within_the_recording(audio):
    rows = [(0.5, 0.7), (1.9, 2.3), (3.8, 4.0), (3.9, 9.0)]
    given = [Recording(f"{n}", audio / "dawn.wav", "owl", start_s=a, end_s=b) for n, (a, b) in enumerate(rows)]
    given += [Recording("whole", audio / "dawn.wav", "owl"), dataclasses.replace(given[0], left_out="no label")]
    given.append(Recording("lost", audio / "lost.wav", "owl", start_s=1.0, end_s=2.0))

    def times(found):
        assert [one.clip_id for one in found] == [one.clip_id for one in given]
        return [(one.start_s, one.end_s) for one in found]

    unchanged = times(given)[3:]
    assert times(with_windows(given)) == times(given)
    padded = times(with_windows(given, pad_s=0.6))
    np.testing.assert_allclose(padded[:3], [(0, 1.3), (1.3, 2.9), (3.2, 4.0)])
    assert padded[3:] == unchanged
    fixed = times(with_windows(given, fixed_s=2.0))
    np.testing.assert_allclose(fixed[:3], [(0, 2), (1.1, 3.1), (2, 4)])
    assert fixed[3:] == unchanged
    assert times(with_windows(given, fixed_s=5.0))[0] == (0, 4)
    refused = ({"pad_s": -1.0}, {"pad_s": np.nan}, {"pad_s": np.inf}, {"fixed_s": 0.0}, {"fixed_s": np.nan})
    for wrong in (*refused, {"pad_s": 1.0, "fixed_s": 1.0}):
        with pytest.raises(UserError, match="--pad-s"):
            with_windows(given, **wrong)


def test_windows_change_the_audio_and_not_the_ids(audio, tmp_path):
    table = tmp_path / "birds.csv"
    table.write_text("path,label,start_s,end_s\ndawn.wav,owl,0.5,1.25\nsite2/dusk.flac,wren,0.1,2\n")
    for name, settings in (("a", {}), ("b", {"fixed_s": 1.5})):
        settings = ExtractionSettings(workers=0, **settings)
        extract(load_dataset(f"table:{table}"), audio, [ToyEncoder()], tmp_path / name, settings)
    stores = [open_store(tmp_path / name / "birds" / "toy") for name in "ab"]
    assert stores[0].clips.clip_id.tolist() == stores[1].clips.clip_id.tolist()
    assert stores[1].clips.n_segments.tolist() == [3, 3]  # of half a second
