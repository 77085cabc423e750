"""Manifests, batches and loading."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jfewshot.errors import UserError
from jfewshot.simclr.data import (
    BatchPlan,
    Utterance,
    batches_from,
    load_batch,
    manifest_digest,
    read_utterances,
    split_validation,
)

RATE = 16_000


def write(path, seconds, rate=RATE, value=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).uniform(-value, value, int(seconds * rate))
    soundfile.write(path, noise, rate)


@pytest.fixture
def speech(tmp_path):
    for k in range(12):
        write(tmp_path / "speech" / f"{k:02d}.wav", 0.5 + 0.1 * k)
    return tmp_path / "speech"


def made_up(n, seconds=lambda k: 1.0 + 0.01 * k):
    return [Utterance(Path(f"{k}.wav"), f"{k:04d}", f"s{k % 7}", seconds(k)) for k in range(n)]


def test_a_folder_is_searched_and_what_is_unusable_left_out_and_named(speech, caplog):
    write(speech / "deep" / "er.flac", 1.0)
    write(speech / "short.wav", 0.05)
    (speech / "broken.wav").write_bytes(b"RIFF")
    (speech / "notes.txt").write_text("not audio")
    found = read_utterances(speech, shortest_s=0.2)
    assert len(found) == 13
    assert found[-1].name == "deep/er.flac"
    assert found[0].duration_s == pytest.approx(0.5)
    assert "short.wav: 0.05 s is shorter" in caplog.text
    assert "broken.wav" in caplog.text
    assert "2 of 15 recordings left out" in caplog.text


def test_librispeech_as_published_names_its_speakers(tmp_path):
    write(tmp_path / "LibriSpeech" / "dev-clean" / "84" / "121123" / "84-121123-0000.flac", 1.0)
    write(tmp_path / "LibriSpeech" / "dev-clean" / "1272" / "128104" / "1272-128104-0011.flac", 1.0)
    assert sorted(each.speaker for each in read_utterances(tmp_path / "LibriSpeech", 0.2)) == ["1272", "84"]


def test_a_manifest_may_be_csv_or_json_lines(speech):
    (speech.parent / "m.csv").write_text("path,speaker\nspeech/00.wav,ann\nspeech/01.wav,bob\n")
    rows = [{"path": "speech/00.wav", "speaker": "ann", "duration_s": 9.5}, {"path": "speech/01.wav", "speaker": "bob"}]
    (speech.parent / "m.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    by_csv, by_json = (read_utterances(speech.parent / f"m.{kind}", 0.2) for kind in ("csv", "jsonl"))
    assert [each.speaker for each in by_csv] == ["ann", "bob"]
    assert by_csv[0].duration_s == pytest.approx(0.5)
    assert by_json[0].duration_s == 9.5  # as stated: a large corpus is not opened file by file


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("m.csv", "file,speaker\na.wav,ann\n", "no column .path.; it has file, speaker"),
        ("m.csv", "path\nabsent.wav\n", "1 files that do not exist, the first is absent.wav"),
        ("m.csv", "path,duration_s\nspeech/00.wav,long\n", "duration_s 'long'"),
        ("m.jsonl", "not json\n", "line 1 is not JSON"),
        ("m.jsonl", '["speech/00.wav"]\n', "one JSON object a line"),
        ("m.jsonl", '{"path": "speech/00.wav", "duration_s": -1}\n', "duration_s '-1'"),
        ("m.jsonl", '{"path": "speech/00.wav", "duration_s": [1]}\n', "under .duration_s., a list or object"),
        ("m.csv", "path,duration_s\nspeech/00.wav,-3\n", "duration_s '-3'"),
        ("m.csv", "path,speaker\nspeech/00.wav,Zo\udceb\n", "is not a table in UTF-8 text: line 2"),
        ("m.csv", "", "is empty"),
    ],
)
def test_a_wrong_manifest_says_what_is_wrong(speech, name, text, complaint):
    (speech.parent / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=complaint):
        read_utterances(speech.parent / name, 0.2)


def test_no_speech_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no usable speech"):
        read_utterances(tmp_path, 0.2)
    with pytest.raises(UserError, match="neither a folder nor a manifest"):
        read_utterances(tmp_path / "absent", 0.2)
    with pytest.raises(UserError, match=r"absent\.csv does not exist; give a folder"):
        read_utterances(tmp_path / "absent.csv", 0.2)


def test_validation_holds_out_whole_speakers():
    training, held = split_validation(made_up(70), 0.3, seed=0)
    assert {each.speaker for each in held}.isdisjoint(each.speaker for each in training)
    assert len({each.speaker for each in held}) == 2
    assert len(training) + len(held) == 70
    with pytest.raises(UserError, match="leaves no training data"):
        split_validation(made_up(3), 0.99, seed=0)


def test_the_digest_names_the_data():
    assert manifest_digest(made_up(5)) == manifest_digest(made_up(5)) != manifest_digest(made_up(6))


def test_an_epoch_uses_nobody_twice_and_batches_are_of_like_length():
    plan = BatchPlan(made_up(103, lambda k: 1 + (k * 37 % 103) / 10), 8, 8 * RATE, 4, RATE, seed=0)
    assert plan.n_batches == len(plan.epoch(0)) == 103 // 8
    used = np.concatenate([members for _, members in plan.epoch(0)])
    assert len(set(used.tolist())) == len(used) == 96
    for size, members in plan.epoch(3):
        longest = max(min(plan.utterances[k].duration_s, 8.0) for k in members)
        assert longest * RATE <= size <= 8 * RATE
        shortest = min(plan.utterances[k].duration_s for k in members)
        assert longest - shortest < 6  # of 10 s of spread: a quarter, and those carried up
    assert len({size for size, _ in plan.epoch(0)}) <= 4


def test_every_batch_is_of_exactly_so_many_speakers(caplog):
    # Speakers with 3 to 61 utterances of lengths from 1 to 4 s, in three buckets.
    counts = [3, 7, 8, 9, 20, 33, 40, 61]
    speakers = [f"s{k}" for k, count in enumerate(counts) for _ in range(count)]
    utterances = [
        Utterance(Path(f"{k}.wav"), f"{k:04d}", speaker, 1.0 + 0.1 * (k * 37 % 31))
        for k, speaker in enumerate(speakers)
    ]
    plan = BatchPlan(utterances, 16, 4 * RATE, 3, RATE, seed=0, speakers_per_batch=4)
    seen = set()
    for number in range(6):
        batches = plan.epoch(number)
        assert len(batches) == plan.n_batches >= 8
        used = [k for _, members in batches for k in members]
        assert len(set(used)) == len(used)
        seen |= set(used)
        for size, members in batches:
            voices = [speakers[k] for k in members]
            assert sorted(voices.count(voice) for voice in set(voices)) == [4, 4, 4, 4]
            assert max(utterances[k].duration_s for k in members) * RATE <= size
    assert {speakers[k] for k in seen} == {f"s{k}" for k in range(1, 8)}
    assert (
        "1 of 8 speakers have fewer than the 4 utterances that a batch takes of each, and are not used: s0 (3)"
        in caplog.text
    )


@pytest.mark.parametrize(
    ("asked", "batch", "speakers", "complaint"),
    [
        (17, 16, 7, "needs 1 to --batch"),
        (3, 16, 7, "does not divide among the speakers"),
        (2, 16, 0, "40 of 40 utterances have no speaker"),
        (8, 16, 7, "needs 2 utterances of similar length of each, which 7 of 7 speakers have"),
    ],
)
def test_speakers_that_cannot_fill_a_batch_are_refused(asked, batch, speakers, complaint):
    utterances = [dataclasses.replace(each, speaker=each.speaker if speakers else "") for each in made_up(40)]
    with pytest.raises(UserError, match=complaint):
        BatchPlan(utterances, batch, 2 * RATE, 1, RATE, seed=0, speakers_per_batch=asked)


def test_two_pieces_of_an_utterance_begin_at_places_of_their_own(speech):
    write(speech / "short.wav", 0.4)
    found = read_utterances(speech, 0.2)
    one, two = (BatchPlan(found, 4, RATE // 2, 2, RATE, seed=0, pieces=pieces) for pieces in (1, 2))
    starts = []
    for step in range(9):
        same, different = load_batch(one, step, {}), load_batch(two, step, {})
        assert different.waves.shape == (4, 2, same.waves.shape[1])
        np.testing.assert_array_equal(different.waves[:, 0], same.waves)
        for row, member in enumerate(two.step(step)[1]):
            wave, _ = soundfile.read(found[member].path, dtype="float32")
            if len(wave) <= RATE // 2:
                np.testing.assert_array_equal(different.waves[row, 0], different.waves[row, 1])
                continue
            start = two.crop_start(step, row, len(wave), 1)
            np.testing.assert_array_equal(different.waves[row, 1], wave[start : start + RATE // 2])
            starts.append(
                [two.crop_start(step, row, len(wave)) / (len(wave) - RATE // 2), start / (len(wave) - RATE // 2)]
            )
    assert abs(np.corrcoef(np.transpose(starts))[0, 1]) < 4 / len(starts) ** 0.5


def test_steps_are_pure_functions_of_seed_and_number():
    plan, again, other = (BatchPlan(made_up(64), 8, RATE, 3, RATE, seed=seed) for seed in (0, 0, 1))
    for step in (17, 3, 40):
        np.testing.assert_array_equal(plan.step(step)[1], again.step(step)[1])
    assert plan.names(5) == again.names(5) != other.names(5)
    assert plan.names(0) != plan.names(8)  # another epoch, another order


def test_too_few_utterances_for_a_batch_is_an_error():
    with pytest.raises(UserError, match="3 utterances do not fill a batch of 4"):
        BatchPlan(made_up(3), 4, RATE, 2, RATE, seed=0)


def test_batches_hold_the_utterances_cropped_and_padded(speech):
    found = read_utterances(speech, 0.2)
    plan = BatchPlan(found, 4, RATE, 2, RATE, seed=0)
    batch = load_batch(plan, 1, {})
    size, members = plan.step(1)
    assert batch.waves.shape == (4, size)
    for row, member in enumerate(members):
        wave, _ = soundfile.read(found[member].path, dtype="float32")
        length = min(len(wave), RATE)
        assert batch.lengths[row] == length
        start = plan.crop_start(1, row, len(wave))
        np.testing.assert_array_equal(batch.waves[row, :length], wave[start : start + length])
        assert not np.any(batch.waves[row, length:])


def test_two_processes_load_the_halves_of_the_same_batch(speech):
    plan = BatchPlan(read_utterances(speech, 0.2), 4, RATE, 1, RATE, seed=0)
    whole = load_batch(plan, 2, {})
    halves = [load_batch(plan, 2, {}, (part, 2)) for part in range(2)]
    for together, *parts in zip(whole, *halves, strict=True):
        np.testing.assert_array_equal(together, np.concatenate(parts))


@pytest.mark.parametrize("threads", [1, 3])
def test_loading_ahead_keeps_the_order_and_can_begin_anywhere(speech, threads):
    plan = BatchPlan(read_utterances(speech, 0.2), 4, RATE, 2, RATE, seed=0)
    loaded = list(batches_from(plan, 2, 7, {}, threads=threads))
    assert len(loaded) == 5
    for step, batch in enumerate(loaded, start=2):
        np.testing.assert_array_equal(batch.waves, load_batch(plan, step, {}).waves)


@pytest.mark.slow  # starts two processes, which import everything
def test_worker_processes_give_the_same_batches_in_the_same_order(speech):
    plan = BatchPlan(read_utterances(speech, 0.2), 4, RATE, 2, RATE, seed=0)
    loaded = list(batches_from(plan, 2, 7, {}, workers=2))
    assert len(loaded) == 5
    for step, batch in enumerate(loaded, start=2):
        np.testing.assert_array_equal(batch.waves, load_batch(plan, step, {}).waves)
        np.testing.assert_array_equal(batch.rows, load_batch(plan, step, {}).rows)
