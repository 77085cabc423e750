"""`jfewshot fit` and `jfewshot apply`: from labelled clips to labelled recordings."""

import csv
import dataclasses
import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import jfewshot
from extraction.datasets.annotation_files import read_audacity, read_raven
from extraction.datasets.base import Columns
from extraction.heads import apply_command, fit_command
from extraction.heads.applying import apply_head
from extraction.heads.encoder import loads_as
from extraction.heads.fitting import fit_head
from extraction.heads.labels import Label, merge
from extraction.heads.recordings import PIECE_S, Source, Windows, blocks_of, pieces_of, waves_of
from extraction.heads.writing import write_labels
from extraction.pipeline import extract
from extraction.settings import ExtractionSettings
from extraction.trying.finding import find_clips
from extraction.upstreams import load_upstream
from extraction.upstreams.kaldi import KaldiBaseline
from jfewshot.audio import MIN_DURATION_S, cut_segments
from jfewshot.errors import UserError
from jfewshot.heads import read_head
from jfewshot.heads.folder import scoring_digest
from jfewshot.store import open_store, write_store

RATE = 16_000
PITCHES = {"low": 300.0, "middle": 900.0, "high": 2500.0}
SETTINGS = ExtractionSettings(workers=0)


def sound(pitch, seed, seconds=1.0):
    """A note in noise; noise alone for a pitch of 0."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    note = 0.2 * np.sin(2 * np.pi * pitch * (1 + 0.02 * rng.standard_normal()) * time) if pitch else 0.0
    return (note + 0.02 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Clips, a store of their FBANK embeddings, a head, and a recording of known content."""
    folder = tmp_path_factory.mktemp("heads")
    for number, (label, pitch) in enumerate({**PITCHES, "nothing": 0.0}.items()):
        for take in range(5):
            path = folder / "clips" / label / f"{take}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            # Some clips are longer than a segment.
            soundfile.write(path, sound(pitch, 10 * number + take, 1.0 + 1.5 * take), RATE)
    found = find_clips(folder / "clips", None, Columns(), None)
    extract(found.dataset(), found.root, [load_upstream("fbank")], folder / "stores", SETTINGS)
    fit_head(folder / "stores" / "clips" / "fbank", classifier="ridge:alpha=0.01", out=folder / "head")
    parts = [sound(0.0, 99, 3.0)]
    for number, pitch in enumerate(PITCHES.values()):
        parts += [sound(pitch, 100 + number, 4.0), sound(0.0, 200 + number, 3.0)]
    (folder / "long").mkdir()
    soundfile.write(folder / "long" / "dawn.wav", np.concatenate(parts), RATE)
    return folder


def events(labels):
    return [(one.label, one.start_s, one.end_s) for one in labels if one.label != "nothing"]


def test_a_long_recording_gets_the_right_class_in_each_window_and_times_within_half_a_hop(work, tmp_path):
    options = {"window_s": 1.0, "hop_s": 0.5, "threshold": None, "workers": 0}
    windows = apply_head(work / "head", work / "long", out=tmp_path / "labels", **options).labels["dawn.wav"]
    truth = [("low", 3.0, 7.0), ("middle", 10.0, 14.0), ("high", 17.0, 21.0)]
    assert len(windows) == 47
    for one in windows:
        inside = [name for name, start_s, end_s in truth if start_s <= one.start_s and one.end_s <= end_s]
        outside = all(one.end_s <= start_s or end_s <= one.start_s for _, start_s, end_s in truth)
        if inside or outside:
            assert one.label == (inside or ["nothing"])[0]
    options |= {"out": tmp_path / "labels", "merge": True, "replace": True}
    merged = apply_head(work / "head", work / "long", **options).labels["dawn.wav"]
    found = events(merged)
    assert [name for name, _, _ in found] == [name for name, _, _ in truth]
    for (_, start_s, end_s), (_, true_start_s, true_end_s) in zip(found, truth, strict=True):
        assert abs(start_s - true_start_s) <= 0.25 + 1e-9
        assert abs(end_s - true_end_s) <= 0.25 + 1e-9
    assert (merged[0].start_s, merged[-1].end_s) == (0.0, 24.0)
    assert all(one.end_s == pytest.approx(after.start_s) for one, after in itertools.pairwise(merged))


def test_scores_are_those_of_the_embeddings_in_the_store(work, tmp_path):
    store, head = open_store(work / "stores" / "clips" / "fbank"), read_head(work / "head")
    applied = apply_head(work / "head", work / "clips", out=tmp_path / "labels", workers=0, threshold=None)
    # As `extract` cuts them, windows of the segment's length are the store's segments.
    found = np.stack([one.scores for name in store.clips.clip_id for one in applied.labels[name]])
    np.testing.assert_allclose(found, head.scores(np.asarray(store.view("last.mean"))), atol=1e-5)
    whole = apply_head(work / "head", work / "clips", out=tmp_path / "clips", per="clip", workers=0)
    segments = head.transform(np.asarray(store.view("last.mean")))
    for name, first, n in zip(store.clips.clip_id, store.clips.first_segment, store.clips.n_segments, strict=True):
        expected = head.scores_of_transformed(segments[first : first + n].mean(0, keepdims=True))[0]
        np.testing.assert_allclose(whole.labels[name][0].scores, expected, atol=1e-5)


def test_every_format_reads_back_and_leaves_out_what_is_unknown(work, tmp_path):
    out = tmp_path / "labels"
    shown = {"formats": ("csv", "raven", "audacity"), "all_scores": True, "workers": 0}
    applied = apply_head(work / "head", [work / "long", work / "clips" / "low"], out=out, threshold=0.5, **shown)
    name = (work / "long" / "dawn.wav").as_posix()
    with open(out / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    own = applied.labels[name]
    assert [row["class"] for row in rows if row["recording"] == name] == [one.label for one in own]
    assert {"score low", "score nothing", "nearest_class", "margin"} <= set(rows[0])
    known = [(one.label, one.start_s, one.end_s) for one in own if not one.is_unknown]
    assert len(known) < len(own)
    raven = read_raven(next((out / "raven").rglob("dawn.wav.selections.txt")), Columns())
    audacity = read_audacity(next((out / "audacity").rglob("dawn.wav.txt")), Columns())
    for read in (raven, audacity):
        assert [(one.label, one.start_s, one.end_s) for one in read] == known


def test_an_interrupted_run_goes_on_where_it_stopped(work, tmp_path, monkeypatch):
    from extraction.heads import recordings

    monkeypatch.setattr(recordings, "BLOCK_S", 10.0)
    expected = apply_head(work / "head", work / "clips", out=tmp_path / "whole", workers=0)
    calls, encode = [], KaldiBaseline.encode

    def failing(self, waves, layers):
        calls.append(len(waves))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return encode(self, waves, layers)

    monkeypatch.setattr(KaldiBaseline, "encode", failing)
    with pytest.raises(KeyboardInterrupt):
        apply_head(work / "head", work / "clips", out=tmp_path / "labels", workers=0)
    assert not (tmp_path / "labels" / "labels.csv").exists()
    with pytest.raises(UserError, match="holds scores of another windows"):
        apply_head(work / "head", work / "clips", out=tmp_path / "labels", workers=0, hop_s=2.0)
    before = len(calls)
    apply_head(work / "head", work / "clips", out=tmp_path / "labels", workers=0)
    total = sum(len(one) for one in expected.labels.values())
    assert sum(calls[before:]) == total - calls[0]
    assert (tmp_path / "labels" / "labels.csv").read_bytes() == (tmp_path / "whole" / "labels.csv").read_bytes()
    # Other labels of the same windows need no encoder.
    before = len(calls)
    merged = apply_head(work / "head", work / "clips", out=tmp_path / "labels", workers=0, merge=True, replace=True)
    assert len(calls) == before
    assert sum(map(len, merged.labels.values())) < total


def test_long_recordings_are_decoded_in_pieces_that_give_every_window_once():
    windows = Windows(5.0, 2.0)
    sources = [Source("a.wav", Path("a.wav"), 3 * PIECE_S + 7.3), Source("b.wav", Path("b.wav"), 4.0)]
    pieces = pieces_of(sources, windows)
    numbers = [(piece.recording, piece.first + k) for piece in pieces for k in range(piece.count)]
    assert numbers == [(0, k) for k in range(windows.count(sources[0].duration_s))] + [(1, 0)]
    assert [piece for block in blocks_of(pieces, sources, windows) for piece in block] == pieces
    # A wave whose samples are their own numbers shows that each window is where it should be.
    rate = 100
    whole = np.arange(round(sources[0].duration_s * rate), dtype=np.float32)
    for piece in pieces[:-1]:
        begin, end = round(piece.audio.start_s * rate), round(piece.audio.end_s * rate)
        for k, wave in enumerate(waves_of(piece, whole[begin:end], rate, windows, sources[0].duration_s)):
            start_s, end_s = windows.times(piece.first + k, sources[0].duration_s)
            assert wave[0] == round(start_s * rate)
            assert len(wave) == round(end_s * rate) - round(start_s * rate)


@pytest.mark.parametrize("seconds", [0.3, 5.0, 5.01, 5.03, 9.99, 10.0, 12.5])
def test_windows_beside_each_other_are_the_segments_of_an_extraction(seconds):
    wave = np.zeros(round(seconds * RATE), np.float32)
    segments = cut_segments(wave, 5 * RATE, round(MIN_DURATION_S * RATE))
    assert Windows(5.0, 5.0).count(seconds) == len(segments)


def test_overlapping_windows_of_one_class_become_one_stretch():
    windows = Windows(2.0, 1.0)

    def one(number, label):
        return Label("a", float(number), number + 2.0, label, label, number, 1.0, np.zeros(2, np.float32))

    merged = merge([one(0, "x"), one(1, "x"), one(2, "y"), one(4, "y")], windows, 6.0)
    assert [(m.label, m.start_s, m.end_s, m.score) for m in merged] == [
        ("x", 0.0, 2.5, 0.5),
        ("y", 2.5, 3.5, 2.0),  # the window after it has no score
        ("y", 4.5, 6.0, 4.0),
    ]


def test_recordings_whose_paths_are_the_same_inside_the_folder_get_different_files(tmp_path):
    scores = np.array([1, 0], np.float32)
    names = ["../x/a.wav", "/x/a.wav", "x/a.wav", "x/b.wav"]
    labels = [
        (name, [Label(name, 0.0, 1.0, "xyz"[number % 3], "xyz"[number % 3], 1.0, 1.0, scores)])
        for number, name in enumerate(names)
    ]
    files = write_labels(tmp_path, ["raven", "audacity"], labels, 16_000, ())
    assert [file for file in files if file.startswith("audacity")] == [
        "audacity/x/a.wav.txt",
        "audacity/2/x/a.wav.txt",
        "audacity/3/x/a.wav.txt",
        "audacity/x/b.wav.txt",
    ]
    assert len(set(files)) == 8
    read = [next(read_audacity(tmp_path / file, Columns())).label for file in files if file.startswith("audacity")]
    assert read == ["x", "y", "z", "x"]


def test_another_encoder_or_preprocessing_is_refused_in_a_line(work, tmp_path, monkeypatch):
    def refused(said, **changes):
        folder = shutil.copytree(work / "head", tmp_path / "head", dirs_exist_ok=True)
        manifest = json.loads((folder / "head.json").read_text())
        for name, value in changes.items():
            manifest[name] = {**manifest[name], **value} if isinstance(value, dict) else value
        manifest["scoring_sha256"] = scoring_digest(manifest)
        (folder / "head.json").write_text(json.dumps(manifest))
        with pytest.raises(UserError, match=said) as error:
            apply_head(folder, work / "long", out=tmp_path / "out", workers=0)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "out").exists()

    refused("was fitted with fbank sha256:0", encoder={"revision": "sha256:0"})
    refused("was fitted with the encoder mfcc, and this is fbank", encoder={"name": "mfcc"})
    refused("was fitted on the view 7.mean, which fbank does not give", view="7.mean")
    refused("was fitted on audio prepared in another way", audio={"preprocessing": "louder"})
    refused("was fitted on audio prepared in another way", audio={"sample_rate": 8000})
    refused("does not say how its audio was prepared", audio={"sample_rate": None})
    refused("does not say how its encoder 'fbank' is loaded", encoder={"load": None})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recordings": "nowhere"}, "does not exist"),
        ({"recordings": "empty"}, "holds no audio"),
        ({"recordings": "broken"}, "--on-error skip"),
        ({"hop_s": 6.0}, "sound between windows would be lost"),
        ({"window_s": 0.0}, "must be 0.025 seconds or more"),
        ({"per": "clip", "merge": True}, "leave out --window-s"),
        ({"threshold": "high"}, "it is head, none or a number"),
        ({"out": "clips"}, "which `jfewshot apply` did not write"),
        ({"head": "clips"}, "is no head"),
    ],
)
def test_bad_input_to_apply_ends_in_a_line(work, tmp_path, monkeypatch, changes, said):
    monkeypatch.chdir(work)
    (work / "empty").mkdir(exist_ok=True)
    (work / "broken").mkdir(exist_ok=True)
    (work / "broken" / "a.wav").write_bytes(b"RIFF")
    given = {"head": "head", "recordings": "long", "out": tmp_path / "out", "workers": 0, **changes}
    with pytest.raises(UserError, match=said) as refused:
        apply_head(given.pop("head"), given.pop("recordings"), **given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("merge", [False, True])
def test_digital_silence_is_unknown_without_scores_and_stops_nothing(work, tmp_path, merge):
    folder = tmp_path / "some"
    folder.mkdir()
    # At another rate than that of the encoder, so that windows are resampled. The sound ends at 2.75 s and begins again at 8 s.
    parts = [sound(900.0, 1, 5.5), np.full(round(10.5 * RATE), 0.25, np.float32), sound(900.0, 2, 4.0)]
    soundfile.write(folder / "mixed.wav", np.concatenate(parts), 2 * RATE)
    soundfile.write(folder / "silent.wav", np.zeros(6 * RATE, np.float32), RATE)
    given = {"threshold": None, "workers": 0, "all_scores": True, "formats": ("csv", "raven"), "merge": merge}
    applied = apply_head(work / "head", folder, out=tmp_path / "labels", window_s=2.5, **given)
    assert applied.left_out == ()
    assert [one.label for one in applied.labels["silent.wav"]] == ["unknown"] * (1 if merge else 3)
    mixed = applied.labels["mixed.wav"]
    silent = [(one.start_s, one.end_s) for one in mixed if one.label == "unknown"]
    assert silent == [(5.0, 7.5)]
    with open(tmp_path / "labels" / "labels.csv", newline="") as file:
        for row in csv.DictReader(file):
            is_silent = row["class"] == "unknown"
            assert all((row[name] == "") == is_silent for name in ("score", "margin", "nearest_class", "score low"))
    # Without sound, nothing has to be encoded.
    alone = apply_head(work / "head", folder / "silent.wav", out=tmp_path / "alone", per="clip", workers=0)
    assert alone.counts == {"unknown": 1}


def test_an_unreadable_file_is_skipped_where_asked_and_listed(work, tmp_path):
    folder = tmp_path / "some"
    folder.mkdir()
    (folder / "bad.wav").write_bytes(b"RIFF")
    shutil.copy(work / "long" / "dawn.wav", folder)
    applied = apply_head(work / "head", folder, out=tmp_path / "labels", on_error="skip", workers=0)
    assert [name for name, _ in applied.left_out] == ["bad.wav"]
    listed = json.loads((tmp_path / "labels" / "labels.json").read_text())["left_out"]
    assert listed[0]["recording"] == "bad.wav"
    assert list(applied.labels) == ["dawn.wav"]


def test_a_recording_that_is_left_out_gets_no_file_and_alone_ends_in_a_line(work, tmp_path, capsys):
    (tmp_path / "some").mkdir()
    # The header of this file is sound, and its samples cannot be used.
    soundfile.write(tmp_path / "some" / "nan.wav", np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    given = {"on_error": "skip", "formats": ("csv", "raven", "audacity"), "workers": 0}
    with pytest.raises(UserError, match=r"not one of 1 recordings could be labelled; the first: nan\.wav: holds NaN"):
        apply_head(work / "head", tmp_path / "some", out=tmp_path / "none", **given)
    assert not (tmp_path / "none" / "labels.json").exists()
    shutil.copy(work / "long" / "dawn.wav", tmp_path / "some")
    arguments = [
        "--out",
        str(tmp_path / "labels"),
        "--on-error",
        "skip",
        "--workers",
        "0",
        "--formats",
        "csv",
        "raven",
        "audacity",
    ]
    apply_command.main([str(work / "head"), str(tmp_path / "some"), *arguments])
    said = " ".join(capsys.readouterr().out.split())
    assert "5 windows of 1 recording:" in said
    assert "without the threshold for unknown sounds" in said
    assert "Left out: nan.wav: holds NaN" in said
    written = sorted(path.name for path in (tmp_path / "labels").rglob("*.txt"))
    assert written == ["dawn.wav.selections.txt", "dawn.wav.txt"]


def test_a_class_called_unknown_is_refused_before_anything_is_tried(work, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("low", "unknown"):
        shutil.copytree(work / "clips" / "low", tmp_path / "clips" / name)
    with pytest.raises(UserError, match="a class is called 'unknown'"):
        fit_head("clips")
    assert [path.name for path in tmp_path.iterdir()] == ["clips"]


def test_labels_made_in_another_way_are_replaced_only_where_asked(work, tmp_path):
    out = tmp_path / "labels"
    apply_head(work / "head", work / "long", out=out, formats=("csv", "raven"), workers=0)
    again = apply_head(work / "head", work / "long", out=out, formats=("csv", "raven"), workers=0)
    assert again.counts
    # A file that was deleted is written again.
    table = (out / "labels.csv").read_bytes()
    (out / "labels.csv").unlink()
    apply_head(work / "head", work / "long", out=out, formats=("csv", "raven"), workers=0)
    assert (out / "labels.csv").read_bytes() == table
    with pytest.raises(UserError, match="made with another head, other recordings or other options"):
        apply_head(work / "head", work / "long", out=out, workers=0)
    apply_head(work / "head", work / "long", out=out, replace=True, workers=0)
    assert (out / "labels.csv").exists()
    assert not list((out / "raven").rglob("*.txt"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "does not exist"),
        (["empty"], "holds no audio in folders"),
        (["clips", "--from", "empty"], "holds no finished try"),
        (["stores/clips/fbank", "--classifier", "sgd"], "cannot be kept as a head"),
        (["stores/clips/fbank", "--classifier", "knn", "--new-clips", "1"], "give 2 clips or more"),
        (["stores/clips/fbank", "--classifier", "knn", "--out", "clips"], "which belong to no head"),
        (["clips", "--upstream", "fbank"], "--upstream is for a store"),
    ],
)
def test_bad_input_to_fit_ends_in_a_line(work, monkeypatch, arguments, said):
    monkeypatch.chdir(work)
    (work / "empty").mkdir(exist_ok=True)
    with pytest.raises(UserError, match=said) as refused:
        fit_command.main(arguments)
    assert "\n" not in str(refused.value)


def test_a_try_of_other_clips_is_refused_and_clips_that_are_new_since_it_are_counted(work, tmp_path):
    tried = tmp_path / "try"
    shutil.copytree(work / "stores", tried / "stores")
    recommended = {"format": "jfewshot-try", "encoder": "fbank", "load": "fbank", "classifier": "centroid"}
    recommended |= {"view": "last.mean", "store": "stores/clips/fbank", "shots": 1, "accuracy": 0.5, "segment": "5"}
    (tried / "recommended.json").write_text(json.dumps({**recommended, "group_from": None}))
    before = sorted(tried.rglob("*"))
    other = tmp_path / "other"
    shutil.copytree(work / "clips" / "high", other / "b")
    shutil.copytree(work / "clips" / "low", other / "c")
    said = r"was tried on other clips: it has 'high/0\.wav'.* such as 'b/0\.wav'"
    with pytest.raises(UserError, match=said) as refused:
        fit_head(other, from_try=tried, out=tmp_path / "head")
    assert "\n" not in str(refused.value)
    assert sorted(tried.rglob("*")) == before
    grown = shutil.copytree(work / "clips", tmp_path / "clips")
    shutil.copy(grown / "low" / "0.wav", grown / "low" / "new.wav")
    done = fit_head(grown, from_try=tried, out=tmp_path / "head", workers=0)
    assert "1 of 21 clips are new since the try" in done.cautions[0]
    assert done.head.facts["clips"]["low"] == 6
    same = fit_head(work / "clips", from_try=tried, out=tmp_path / "head", replace=True)
    assert not any("new since" in text for text in same.cautions)


def test_of_a_store_the_best_view_and_classifier_are_found(work, tmp_path, monkeypatch):
    from extraction.heads import sources

    monkeypatch.setattr(sources, "CANDIDATES", ("centroid",))
    monkeypatch.setattr(sources, "_EPISODES", 30)
    store = open_store(work / "stores" / "clips" / "fbank")
    names = ("dataset", "upstream", "sample_rate", "segment_samples", "preprocessing")
    good = np.asarray(store.view("last.mean"))
    noise = np.random.default_rng(0).normal(size=good.shape).astype(np.float32)
    facts = {name: store.manifest[name] for name in names}
    write_store(tmp_path / "two", views={"0.mean": noise, "last.mean": good}, clips=store.clips, **facts)
    done = fit_head(tmp_path / "two", out=tmp_path / "head")
    assert (done.head.facts["view"], done.head.classifier) == ("last.mean", "centroid")
    assert "the best of 1 classifiers and 2 views" in " ".join(done.said)


def test_a_store_of_an_encoder_of_unknown_origin_needs_its_name(work, tmp_path):
    assert loads_as("fbank") == "fbank"
    assert loads_as("speech_simclr_small") == "simclr:speech_simclr_small"
    assert loads_as("mine") is None


def test_both_commands_say_what_was_done(work, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fit_command.main([str(work / "stores" / "clips" / "fbank"), "--classifier", "centroid", "--out", "my head"])
    said = capsys.readouterr().out
    assert "Accuracy to expect: " in said
    assert "Unknown sounds: " in said
    assert "jfewshot apply 'my head' RECORDINGS" in said
    apply_command.main(["my head", str(work / "long"), "--out", "labels", "--workers", "0"])
    assert "5 windows of 1 recording:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"upstream": {"name": "a+b", "revision": f"fused sha256:{'0' * 64}"}},
            r"several embeddings side by side \(a\+b\)",
        ),
        ({"sample_rate": None, "preprocessing": ""}, "does not say how its audio was prepared"),
    ],
)
def test_a_head_that_no_encoder_can_serve_is_fitted_without_a_next_step_and_refused_by_apply(
    work, tmp_path, capsys, changes, said
):
    store = open_store(work / "stores" / "clips" / "fbank")
    names = ("dataset", "upstream", "sample_rate", "segment_samples", "preprocessing")
    facts = {name: store.manifest[name] for name in names} | changes
    write_store(
        tmp_path / "store", views={"last.mean": np.asarray(store.view("last.mean"))}, clips=store.clips, **facts
    )
    done = fit_head(tmp_path / "store", classifier="centroid", out=tmp_path / "head")
    assert done.next_step == ""
    assert re.search(f"only estimates the accuracy.*{said}", done.cautions[-1])
    assert not any("--upstream" in text for text in done.cautions)
    fit_command.main([str(tmp_path / "store"), "--classifier", "centroid", "--out", str(tmp_path / "again")])
    assert "Next:" not in capsys.readouterr().out
    with pytest.raises(UserError, match=f"cannot be applied to recordings: .*{said}"):
        apply_head(tmp_path / "head", work / "long", out=tmp_path / "out", upstream="fbank", workers=0)


def test_python_finds_both_under_the_name_of_the_package():
    assert jfewshot.fit_head is fit_head
    assert jfewshot.apply_head is apply_head
    assert dataclasses.is_dataclass(Label)
