"""Data folders of Kaldi, manifests of lhotse and databases in audformat: clips are what these programs say they are."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from extraction.datasets import load_dataset
from extraction.datasets.base import Columns
from extraction.planning import find_recordings
from jfewshot.audio import decode_stretch
from jfewshot.errors import UserError
from tests.extraction import recordings

# Of pandas, which audformat uses in ways that pandas 3.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")
RATES = {"a.wav": (16_000, 4.0), "sub/b.wav": (8_000, 3.0), "c.flac": (22_050, 2.5)}


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    for number, (name, (rate, seconds)) in enumerate(RATES.items()):
        (folder / name).parent.mkdir(exist_ok=True)
        soundfile.write(folder / name, recordings.wave(number, rate, seconds), rate)
    soundfile.write(folder / "two.wav", np.tile(recordings.wave(3, 8_000, 2.0)[:, None], 2), 8_000)
    return folder


def ids(clips):
    return [(one.clip_id, one.label, one.group) for one in clips]


def kaldi_folder(folder, audio):
    folder.mkdir(exist_ok=True)
    (folder / "wav.scp").write_text(
        f"ra {audio}/a.wav\nrb sub/b.wav\nrc c.flac\nrp sox x.wav -t wav - |\nrx raw.ark:1234\nry gone.wav\n"
    )
    (folder / "segments").write_text(
        "u1 ra 0.5 1.75\nu2 rb 0.25 -1\nu3 rc 1 2.5\nu4 ra 2 3\nu5 rp 0 1\nu6 rx 0 1\nu7 ry 0 1\nu8 rz 0 1\n"
    )
    (folder / "utt2spk").write_text("".join(f"u{n} s{n % 2}\n" for n in range(1, 9)))
    (folder / "utt2lang").write_text("u1 en\nu2 de\nu3 en\n" + "".join(f"u{n} de\n" for n in range(5, 9)))
    return folder


def test_utterances_of_a_kaldi_folder(tmp_path, audio):
    folder = kaldi_folder(tmp_path / "train", audio)
    clips, left_out = find_recordings(load_dataset(f"kaldi:{folder}"), audio)
    assert ids(clips) == [
        ("a.wav:0.5-1.75", "en", "a.wav"),
        ("c.flac:1-2.5", "en", "c.flac"),
        ("sub/b.wav:0.25-3", "de", "sub/b.wav"),
    ]
    reasons = {one["clip_id"]: one["reason"] for one in left_out}
    assert reasons["a.wav:2-3"] == "utterance u4 has no label"
    assert reasons["rz:0-1"] == "is not in wav.scp"
    assert "is the output of a command (sox x.wav -t wav - |)" in reasons["command:0-1"]
    assert "lies in an archive" in reasons["raw.ark:1234:0-1"]
    assert reasons["gone.wav:0-1"] == "file is missing"
    columns = Columns(label="utt2spk", group="utt2lang", further=("utt2lang",))
    clips, _ = find_recordings(load_dataset(f"kaldi:{folder}", columns), audio)
    assert [(one.label, one.group, one.further) for one in clips][:2] == [
        ("s1", "en", (("utt2lang", "en"),)),
        ("s0", "", (("utt2lang", ""),)),
    ]
    (folder / "segments").unlink()
    (folder / "utt2lang").write_text("ra en\nrb de\n")
    clips, _ = find_recordings(load_dataset(f"kaldi:{folder}"), audio)
    assert ids(clips) == [("a.wav", "en", ""), ("sub/b.wav", "de", "")]
    assert clips[0].start_s is None


def test_a_kaldi_folder_that_lacks_something_is_refused(tmp_path, audio):
    with pytest.raises(UserError, match=r"has no file wav\.scp"):
        load_dataset(f"kaldi:{tmp_path}")
    folder = kaldi_folder(tmp_path / "train", audio)

    def refused(columns=None):
        with pytest.raises(UserError) as caught:
            load_dataset(f"kaldi:{folder}", columns).recordings(audio)
        return str(caught.value)

    assert "has no file utt2x; it has segments, utt2lang, utt2spk, wav.scp" in refused(Columns(label="utt2x"))
    (folder / "segments").write_text("u1 ra 0.5\n")
    assert "utterance u1: 'ra 0.5' is not a recording" in refused()
    (folder / "segments").write_text("u1 ra 0.5 x\n")
    assert "utterance u1: 'x' is no number of seconds" in refused()
    (folder / "segments").write_text("u1 ra 0.5 1\nu1 ra 1 2\n")
    assert "line 2: 'u1' is there twice" in refused()
    (folder / "utt2lang").unlink()
    assert "has no file of utt2label, utt2class, utt2lang; it has segments, utt2spk" in refused()


def test_kaldis_utterances_are_those_that_lhotse_reads(tmp_path, audio):
    kaldi = pytest.importorskip("lhotse.kaldi", reason="lhotse is not installed")
    folder = kaldi_folder(tmp_path / "train", audio)
    (folder / "wav.scp").write_text(f"ra {audio}/a.wav\nrb {audio}/sub/b.wav\nrc {audio}/c.flac\n")
    (folder / "segments").write_text("u1 ra 0.5 1.75\nu2 rb 0.25 2.125\nu3 rc 1 2.5\n")
    (folder / "text").write_text("u1 one\nu2 two\nu3 three\n")
    _, supervisions, _ = kaldi.load_kaldi_data_dir(folder, 16_000)
    clips, _ = find_recordings(load_dataset(f"kaldi:{folder}", Columns(group="utt2spk")), audio)
    found = {(one.start_s, one.end_s, one.label, one.group) for one in clips}
    assert found == {(one.start, one.end, one.language, one.speaker) for one in supervisions}
    assert len(found) == 3


@pytest.fixture(scope="module")
def lhotse():
    return pytest.importorskip("lhotse", reason="lhotse is not installed")


@pytest.fixture
def manifests(lhotse, audio, tmp_path):
    said = lhotse.RecordingSet.from_recordings(
        lhotse.Recording.from_file(audio / name, recording_id=name.split(".")[0]) for name in (*RATES, "two.wav")
    )
    rows = [
        ("u1", "a", 0.5, 1.25, "s1", "happy"),
        ("u2", "sub/b", 0.1, 2.2, "s2", "sad"),
        ("u3", "c", 1.1, 0.7, "s2", "happy"),
        ("u4", "a", 2.0, 1.0, "s1", None),
        ("u5", "two", 0.0, 1.0, "s1", "sad"),
    ]
    segments = [
        lhotse.SupervisionSegment(
            name, of, start, duration, speaker=speaker, custom={"emotion": emotion} if emotion else None
        )
        for name, of, start, duration, speaker, emotion in rows
    ]
    supervisions = lhotse.SupervisionSet.from_segments(segments)
    said.to_file(tmp_path / "x_recordings_all.jsonl.gz")
    supervisions.to_file(tmp_path / "x_supervisions_all.jsonl.gz")
    return said, supervisions


def test_cuts_of_lhotse_are_the_samples_that_lhotse_loads(lhotse, manifests, audio, tmp_path):
    said, supervisions = manifests
    mono = said.filter(lambda one: one.num_channels == 1)
    cuts = lhotse.CutSet.from_manifests(mono, supervisions.filter(lambda one: one.recording_id != "two")).to_eager()
    expected = {
        (cut.supervisions[0].id, cut.supervisions[0].custom["emotion"]): cut.load_audio()[0]
        for cut in cuts.trim_to_supervisions(keep_overlapping=False)
        if cut.supervisions[0].custom
    }
    columns = Columns(label="emotion", group="speaker")
    for name, given in (("cuts", cuts), ("trimmed", cuts.trim_to_supervisions(keep_overlapping=False).to_eager())):
        given.to_file(tmp_path / f"{name}.jsonl.gz")
        clips, left_out = find_recordings(load_dataset(f"lhotse:{tmp_path / name}.jsonl.gz", columns), audio)
        assert ids(clips) == [
            ("a.wav:0.5-1.75", "happy", "s1"),
            ("c.flac:1.1-1.8", "happy", "s2"),
            ("sub/b.wav:0.1-2.3", "sad", "s2"),
        ]
        assert left_out == [{"clip_id": "a.wav:2-3", "reason": "u4 has no emotion"}]
        for clip, key in zip(clips, (("u1", "happy"), ("u3", "happy"), ("u2", "sad")), strict=True):
            np.testing.assert_array_equal(decode_stretch(clip.audio)[0], expected[key])


def test_supervisions_of_lhotse_find_their_recordings(lhotse, manifests, audio, tmp_path):
    path = tmp_path / "x_supervisions_all.jsonl.gz"
    columns = Columns(label="speaker")
    clips, left_out = find_recordings(load_dataset(f"lhotse:{path}", columns), audio)
    assert [one.clip_id for one in clips] == ["a.wav:0.5-1.75", "a.wav:2-3", "c.flac:1.1-1.8", "sub/b.wav:0.1-2.3"]
    assert left_out == [
        {"clip_id": "two.wav:0-1", "reason": "is channel 0 of 2; write each channel to a separate file"}
    ]
    (tmp_path / "x_recordings_all.jsonl.gz").unlink()  # now by name, below ROOT
    clips, left_out = find_recordings(load_dataset(f"lhotse:{path}", columns), audio)
    assert [one.clip_id for one in clips][:3] == ["a.wav:0.5-1.75", "a.wav:2-3", "c.flac:1.1-1.8"]
    for columns, message in (
        (
            Columns(),
            r"name the field of the class, .*; .* its supervisions have speaker, emotion",
        ),
        (Columns(label="accent"), "has no field accent; its supervisions have speaker, emotion"),
    ):
        with pytest.raises(UserError, match=message):
            load_dataset(f"lhotse:{path}", columns).recordings(audio)


def test_what_lhotse_cannot_give_as_a_part_of_one_file_is_listed_or_refused(lhotse, manifests, audio, tmp_path):
    said, supervisions = manifests
    cuts = [cut for cut in lhotse.CutSet.from_manifests(said, supervisions) if cut.recording_id in ("a", "c")]
    altered = cuts[0].perturb_speed(1.1)
    lhotse.CutSet.from_cuts([*cuts, altered, cuts[1].pad(5.0)]).to_file(tmp_path / "mixed.jsonl.gz")
    dataset = load_dataset(f"lhotse:{tmp_path / 'mixed.jsonl.gz'}", Columns(label="speaker"))
    clips, left_out = find_recordings(dataset, audio)
    assert {one.path.name for one in clips} == {"a.wav", "c.flac"}
    reasons = " ".join(one["reason"] for one in left_out)
    assert "is altered by lhotse's transforms" in reasons
    assert "is a MixedCut, no part of one recording" in reasons
    said.to_file(tmp_path / "only_recordings.jsonl.gz")
    (tmp_path / "broken.jsonl").write_text('{"id": 1}\n')
    for name, message in (
        ("only_recordings.jsonl.gz", "holds RecordingSet; cuts or supervisions are needed"),
        ("broken.jsonl", "is no manifest that lhotse reads"),
        ("gone.jsonl", "does not exist"),
    ):
        with pytest.raises(UserError, match=message):
            load_dataset(f"lhotse:{tmp_path / name}").recordings(audio)


@pytest.fixture
def database(audio, tmp_path):
    audformat = pytest.importorskip("audformat", reason="audformat is not installed")
    pandas = pytest.importorskip("pandas")
    made = audformat.Database("emotions")
    made.schemes["emotion"] = audformat.Scheme(labels=["angry", "happy"])
    made.schemes["speaker"] = audformat.Scheme(labels={"s1": {"age": 30}, "s2": {"age": 40}})
    made.splits["train"], made.splits["dev"] = audformat.Split("train"), audformat.Split("dev")
    for split, files, starts, ends, values in (
        (
            "train",
            ["a.wav", "a.wav", "sub/b.wav"],
            ["0s", "1.5s", "0s"],
            ["1s", pandas.NaT, pandas.NaT],
            "angry happy angry",
        ),
        ("dev", ["c.flac", "c.flac"], ["0.25s", "2s"], ["1.5s", "2.5s"], "happy -"),
    ):
        table = audformat.Table(audformat.segmented_index(files, starts, ends), split_id=split)
        made[f"emotion.{split}"] = table
        table["emotion"] = audformat.Column(scheme_id="emotion")
        table["emotion"].set([None if value == "-" else value for value in values.split()])
    made["files"] = audformat.Table(audformat.filewise_index(list(RATES)))
    made["files"]["speaker"] = audformat.Column(scheme_id="speaker")
    made["files"]["speaker"].set(["s1", "s2", "s2"])
    made.save(str(tmp_path / "emo"))
    return tmp_path / "emo"


def test_a_database_in_audformat(database, audio, tmp_path):
    columns = Columns(label="emotion", group="speaker")
    clips, left_out = find_recordings(load_dataset(f"audformat:{database}", columns), audio)
    assert [(one.clip_id, one.label, one.group, one.split) for one in clips] == [
        ("a.wav:0-1", "angry", "s1", "train"),
        ("a.wav:1.5-4", "happy", "s1", "train"),
        ("c.flac:0.25-1.5", "happy", "s2", "validation"),
        ("sub/b.wav", "angry", "s2", "train"),
    ]
    assert left_out == [{"clip_id": "c.flac:2-2.5", "reason": "has no emotion"}]
    clips, _ = find_recordings(load_dataset(f"audformat:{database}", Columns(label="speaker")), audio)
    assert ids(clips) == [("a.wav", "s1", ""), ("c.flac", "s2", ""), ("sub/b.wav", "s2", "")]
    for columns, message in (
        (None, r"has 2 schemes \(emotion, speaker\); name the scheme of the class"),
        (Columns(label="age"), "has no scheme age; it has emotion, speaker"),
    ):
        with pytest.raises(UserError, match=message):
            load_dataset(f"audformat:{database}", columns).recordings(audio)
    with pytest.raises(UserError, match=r"has no file db\.yaml"):
        load_dataset(f"audformat:{tmp_path}")
    header = (database / "db.yaml").read_text()
    (database / "db.yaml").write_text(header.replace("\n  files:\n", "\n  ../files:\n"))
    with pytest.raises(UserError, match=r"db\.yaml names a table '\.\./files', whose file would be in another folder"):
        load_dataset(f"audformat:{database}", Columns(label="speaker")).recordings(audio)
    (database / "db.yaml").write_text("name: [")
    with pytest.raises(UserError, match="is no database that audformat reads"):
        load_dataset(f"audformat:{database}", Columns(label="emotion")).recordings(audio)


class RunsCode:
    """Makes a file as it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickled_tables_of_a_database_are_not_read(database, audio, tmp_path):
    whole, label = tmp_path / "emo" / "db.files.parquet", Columns(label="speaker")
    assert whole.exists()
    expected = load_dataset(f"audformat:{database}", label).recordings(audio)
    whole.with_suffix(".pkl").write_bytes(pickle.dumps(RunsCode(tmp_path / "ran")))
    assert load_dataset(f"audformat:{database}", label).recordings(audio) == expected
    whole.unlink()
    with pytest.raises(
        UserError, match=r"db\.files\.pkl is a pickled table, which can run code.*storage_format='parquet'"
    ):
        load_dataset(f"audformat:{database}", label).recordings(audio)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("kind", "package"), [("lhotse", "lhotse"), ("audformat", "audformat")])
def test_a_package_that_is_missing_is_named(tmp_path, audio, monkeypatch, kind, package):
    (tmp_path / "db.yaml").write_text("name: x\n")
    monkeypatch.setitem(sys.modules, package, None)
    dataset = load_dataset(f"{kind}:{tmp_path}")
    with pytest.raises(
        UserError, match=rf"needs the Python package {package}: pip install {package}, or .*\[{package}\]"
    ):
        dataset.recordings(audio)
