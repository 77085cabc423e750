"""What `jfewshot try` finds in recordings before any encoder runs: copies, groups, durations, and the plan."""

import dataclasses
import shutil

import numpy as np
import pytest
import soundfile
import soxr
from scipy import signal

from extraction.datasets.base import Columns, Recording
from extraction.trying.copies import find_copies
from extraction.trying.evaluating import keep_groups_apart, plan_for
from extraction.trying.examining import examine_one
from extraction.trying.finding import find_clips
from extraction.trying.findings import find_findings, to_drop
from extraction.trying.groups import groups_in_names, parts_of
from jfewshot.errors import UserError
from tests.extraction.try_folders import RATE, facts_of, make_folder, tone, write


def test_groups_are_made_from_names_on_request_only(tmp_path):
    for label, pitch in (("a", 300), ("b", 500)):
        for speaker in ("anna", "ben"):
            write(tmp_path / label / f"{speaker}_{label}_1.wav", tone(pitch))
    assert {one.group for one in find_clips(tmp_path, None, Columns(), None).used} == {""}
    assert {one.group for one in find_clips(tmp_path, None, Columns(), "1").used} == {"anna", "ben"}
    pattern = r"/(\w+?)_"
    assert {one.group for one in find_clips(tmp_path, None, Columns(), pattern).used} == {"anna", "ben"}
    with pytest.raises(UserError, match="finds no group in 4 of 4 clips"):
        find_clips(tmp_path, None, Columns(), "9")
    with pytest.raises(UserError, match="0 pairs of parentheses"):
        find_clips(tmp_path, None, Columns(), "anna")
    assert parts_of("x/03_anna-b7.wav") == ["03", "anna", "b", "7"]


def test_a_speaker_in_file_names_is_noticed_and_a_number_of_takes_is_not():
    rng = np.random.default_rng(0)
    voices = rng.standard_normal((5, 12))
    ids, labels, sound = [], [], []
    for label in range(4):
        for speaker in range(5):
            for take in range(4):
                ids.append(f"c{label}/{label}_spk{speaker}_{take}.wav")
                labels.append(f"c{label}")
                sound.append(voices[speaker] + 0.5 * rng.standard_normal(12))
    named = groups_in_names(ids, labels, np.array(sound))
    assert (named.part, named.n_groups) == (3, 5)
    assert named.area > 0.9
    silent = rng.standard_normal((len(ids), 12))  # nothing to hear of the speaker
    assert groups_in_names(ids, labels, silent) is None


def bursts(seed, rate=2 * RATE):
    """Six bursts of noise, each in a band and at a level of its own."""
    rng = np.random.default_rng(seed)
    waves = []
    for _ in range(6):
        band = [rng.uniform(100, 800), rng.uniform(1200, 4000)]
        wave = signal.lfilter(*signal.butter(2, band, "bandpass", fs=rate), rng.standard_normal(rate // 3))
        waves.append(0.3 * rng.uniform(0.2, 1) * wave)
    return np.concatenate(waves).astype(np.float32)


def test_copies_are_found_at_another_level_rate_and_in_another_format(tmp_path):
    wave, rate = bursts(0), 2 * RATE
    paths = [
        write(tmp_path / "original.wav", wave, rate),
        write(tmp_path / "same.flac", soundfile.read(tmp_path / "original.wav")[0], rate),
        write(tmp_path / "quiet.ogg", 0.3 * wave, rate),
        write(tmp_path / "slow.wav", soxr.resample(wave, rate, 22050), 22050),
        write(tmp_path / "other.wav", bursts(1), rate),
        write(tmp_path / "another.wav", bursts(2), rate),
    ]
    facts = [examine_one(Recording(path.name, path, "x")) for path in paths]
    copies = find_copies(facts)
    assert copies.identical == (("original.wav", "same.flac"),)
    assert set(copies.alike) >= {("original.wav", "quiet.ogg"), ("original.wav", "slow.wav")}
    assert not any("other" in name for pair in copies.alike for name in pair)
    label = {path.name: "a" for path in paths}
    assert to_drop(copies, label) == {"same.flac": "identical to original.wav"}
    assert set(to_drop(copies, {**label, "same.flac": "b"})) == {"original.wav", "same.flac"}


def test_what_is_wrong_with_the_data_is_said_before_any_encoder_runs(tmp_path):
    make_folder(tmp_path / "d", n=8)
    for take in range(8):  # one class at another rate
        write(tmp_path / "d" / "bird 3" / f"{take:02d}.wav", tone(1100, take, rate=16000), 16000)
    shutil.copy(tmp_path / "d" / "bird 0" / "00.wav", tmp_path / "d" / "bird 1" / "again.wav")
    write(tmp_path / "d" / "bird 2" / "quiet.wav", 1e-4 * tone(700), subtype="FLOAT")
    write(tmp_path / "d" / "bird 2" / "loud.wav", np.clip(20 * tone(700), -1, 1))
    (tmp_path / "d" / "bird 2" / "song.m4a").write_bytes(b"x")
    (tmp_path / "d" / "top.wav").write_bytes(b"x")
    _, _, findings = facts_of(tmp_path / "d")
    said = " ".join(findings.warnings)
    assert "sample rate 16,000 Hz: bird 3" in said
    assert said.count("bird 0/00.wav = bird 1/again.wav") == 1
    assert (
        "1 recording is identical to another one: bird 0/00.wav = bird 1/again.wav. The copies are in different classes."
        in said
    )
    assert "1 clip is nearly silent: bird 2/quiet.wav" in said
    assert "1 clip is clipped" in said
    assert "song.m4a (format not read" in said
    assert "1 audio file lies in no class folder and was not taken: top.wav" in said
    assert findings.summary.startswith("35 clips of 4 classes")
    assert [row[0].text for row in findings.left_out.rows] == ["bird 2/song.m4a"]
    by_class = {row[0].text: row for row in findings.classes.rows}
    assert by_class["bird 2"][3].text == "10"
    assert by_class["bird 2"][4].text == "1"
    assert "--drop-copies leaves copies out" in said
    found, facts, _ = facts_of(tmp_path / "d")
    dropped = " ".join(find_findings(found, facts, drop_copies=True).warnings)
    assert "--drop-copies" not in dropped
    assert "The copies were left out, and recordings whose copy is of another class as well." in dropped
    _, _, clean = facts_of(make_folder(tmp_path / "clean"))
    assert clean.warnings == ()


def test_durations_that_tell_classes_apart_are_said(tmp_path):
    for take in range(6):
        write(tmp_path / "short" / f"{take}.wav", tone(300, take, 0.2 + 0.01 * take))
        write(tmp_path / "long" / f"{take}.wav", tone(300, 10 + take, 1.0 + 0.05 * take))
    _, _, findings = facts_of(tmp_path)
    assert any(text.startswith("The duration alone tells classes apart") for text in findings.warnings)


def test_shots_and_queries_are_those_that_the_smallest_class_allows():
    plan = plan_for({"a": 40, "b": 40}, False, None, False)
    assert (plan.shots, plan.n_query, plan.ways) == ((1, 2, 3, 5, 8, 12, 20), 13, 2)
    sizes = {f"c{n}": 30 for n in range(6)} | {"rare": 4}
    plan = plan_for(sizes, False, None, False)
    assert (plan.shots, plan.n_query, plan.ways) == ((1, 2, 3, 5, 8, 12, 20), 10, 5)
    assert plan.left_out == (("rare", 4),)
    few = plan_for({"a": 5, "b": 4, "c": 3}, False, None, False)
    assert (few.shots, few.n_query, few.min_clips) == ((1, 2), 1, 3)
    assert plan_for({"a": 40, "b": 40}, True, None, False).shots == (1, 5, 10)
    with pytest.raises(UserError, match=r"1 class has 3 clips or more.*a \(9\), b \(2\). Add clips$"):
        plan_for({"a": 9, "b": 2}, False, None, False)


def test_groups_leave_fewer_labels_or_cannot_be_kept_apart():
    plan = plan_for({f"c{n}": 60 for n in range(6)}, False, None, True)
    labels = [f"c{n}" for n in range(6) for _ in range(60)]
    # Each class has groups of its own: 20 of them, so even 12 labels leave some.
    own = [f"c{n} g{k % 20}" for n in range(6) for k in range(60)]
    kept, said = keep_groups_apart(plan, labels, own)
    assert kept.group_aware
    assert kept.shots[:5] == (1, 2, 3, 5, 8)
    # Eight speakers in all classes: the 25 training clips of five classes with 5 labels each are of nearly all of them.
    shared = [f"g{k % 8}" for n in range(6) for k in range(60)]
    kept, said = keep_groups_apart(plan, labels, shared)
    assert kept.group_aware
    assert kept.shots[0] == 1
    assert kept.shots[-1] < 8
    assert "20 labels per class" in said
    kept, said = keep_groups_apart(plan, labels, ["one"] * 360)
    assert not kept.group_aware
    assert "too few groups" in said
    assert keep_groups_apart(dataclasses.replace(plan, group_aware=False), labels, shared)[1] == ""
