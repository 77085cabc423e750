"""Ragged frames: nobody's frames end up in another's, padding is zero, statistics are NumPy's; sources agree."""

import dataclasses

import numpy as np
import pytest

from jfewshot.audio import read_audio
from jfewshot.downstream.cache import FrameCache
from jfewshot.downstream.frames import Frames, padded_size
from jfewshot.downstream.sources import encoded_frames, parse_source
from jfewshot.errors import UserError
from jfewshot.simclr.export import load_encoder
from jfewshot.simclr.features import FbankSettings
from jfewshot.store import ClipTable, write_store


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    return [(3 + 2 * rng.standard_normal((n, 4))).astype(np.float32) for n in (5, 1, 9)]


def test_padded_rows_are_the_utterances_own_frames_and_zero_after(parts):
    frames = Frames.joined(parts)
    rows, counts = frames.padded([2, 0, 1], 7)
    assert counts.tolist() == [7, 5, 1]  # the first 7 of 9 are kept
    np.testing.assert_array_equal(rows[0], parts[2][:7])
    np.testing.assert_array_equal(rows[1, :5], parts[0])
    assert not rows[1, 5:].any()
    assert not rows[2, 1:].any()
    np.testing.assert_array_equal(frames.select([2, 1]).of(0), parts[2])
    means = frames.means(7)
    assert means.n_frames.tolist() == [1, 1, 1]
    np.testing.assert_allclose(means.values, [part[:7].mean(axis=0) for part in parts], rtol=1e-6)


def test_moments_are_numpys_over_true_frames_of_the_chosen_utterances_alone(parts):
    moments = Frames.joined(parts).moments(np.array([0, 2]))
    chosen = np.concatenate([parts[0], parts[2]]).astype(np.float64)
    np.testing.assert_allclose(moments.mean, chosen.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(moments.std, chosen.std(axis=0), rtol=1e-6)


def test_padded_sizes_waste_at_most_a_quarter():
    sizes = sorted({padded_size(n) for n in range(1, 4000)})
    assert sizes[:8] == [16, 20, 24, 28, 32, 40, 48, 56]
    assert all(n <= padded_size(n) <= max(16, 1.25 * n) for n in range(1, 4000))
    assert len(sizes) < 40


def utterances(speech):
    return [(path.relative_to(speech).as_posix(), path) for path in sorted((speech / "wav").glob("*.wav"))][:20]


def test_an_encoder_s_frames_are_what_it_gives_for_each_wave_alone(speech, tmp_path):
    cache = FrameCache(tmp_path, utterances(speech))
    source = parse_source("simclr:speech_simclr_small")
    frames = cache.frames(source, 0)
    encoder = load_encoder("speech_simclr_small")
    for number in (0, 7, 19):
        wave = read_audio(cache.utterances[number][1], 16_000)
        alone = encoder(wave[None], ["last"])["last"][0]
        # Another padding, another blocking of the same sums.
        np.testing.assert_allclose(frames.of(number), alone, atol=1e-4)
    again = FrameCache(tmp_path, utterances(speech)).frames(source, 0)
    np.testing.assert_array_equal(again.values, frames.values)
    assert len(list(tmp_path.glob("*.npy"))) == 2  # filterbank and encoder, once


def test_other_audio_of_the_same_name_and_size_is_computed_anew(speech, tmp_path):
    import soundfile

    files = []
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, 0.1 * np.sin(np.arange(2000) * (0.1 if name == "a.wav" else 0.3)), 16_000)
        files.append((name, tmp_path / name))
    before = np.array(FrameCache(tmp_path / "cache", files).fbank(FbankSettings()).of(1))
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    after = FrameCache(tmp_path / "cache", files).fbank(FbankSettings())
    np.testing.assert_array_equal(after.of(1), after.of(0))
    assert np.abs(after.of(1) - before).max() > 1


def test_random_encoders_differ_between_seeds_and_from_the_trained_one(speech, tmp_path):
    cache = FrameCache(tmp_path, utterances(speech)[:3])
    source = parse_source("random:speech_simclr_small")
    one, other = (np.asarray(cache.frames(source, seed).values) for seed in (0, 1))
    trained = np.asarray(cache.frames(parse_source("simclr:speech_simclr_small"), 0).values)
    assert np.abs(one - other).max() > 0.1
    assert np.abs(one - trained).max() > 0.1
    heard = cache.fbank(FbankSettings())
    np.testing.assert_array_equal(one, encoded_frames(source.loaded(0), heard, "last").values)


def test_a_store_s_frames_reach_the_same_utterances_in_another_order(speech, tmp_path):
    names = [name for name, _ in utterances(speech)]
    rng = np.random.default_rng(1)
    parts = {name: rng.standard_normal((int(rng.integers(1, 9)), 3)).astype(np.float16) for name in names}
    order = rng.permutation(names).tolist()
    table = ClipTable.build(order, ["x"] * len(order), n_segments=[len(parts[name]) for name in order])
    views = {"last.frames": np.concatenate([parts[name] for name in order])}
    store = write_store(
        tmp_path / "store", views=views, clips=table, dataset={"name": "emodb"}, upstream={"name": "other"}
    )
    source = parse_source(f"store:{store.path}")
    frames = FrameCache(tmp_path / "cache", utterances(speech)).frames(source, 0)
    for number, name in enumerate(names):
        np.testing.assert_array_equal(frames.of(number), parts[name])
    smaller = write_store(
        tmp_path / "less", views={"last.frames": views["last.frames"]}, clips=table.select(np.arange(5)),
        dataset={"name": "emodb"}, upstream={"name": "other"},
    )  # fmt: skip
    with pytest.raises(UserError, match="lacks 15 of 20 utterances"):
        FrameCache(tmp_path / "cache", utterances(speech)).frames(parse_source(f"store:{smaller.path}"), 0)


def test_features_that_cannot_be_are_refused_in_one_line(tmp_path):
    pooled = write_store(
        tmp_path / "pooled", views={"last.mean": np.ones((2, 3), np.float32)},
        clips=ClipTable.build(["a", "b"], ["x", "y"]), dataset={"name": "d"}, upstream={"name": "u"},
    )  # fmt: skip
    for text, complaint in {
        "mfcc": "not known; give fbank",
        "simclr:": "not known",
        "simclr:speech_simclr_small@9": "no layer '9'",
        f"store:{pooled.path}": "no view of frames, only last.mean: extract it with --pooling frames",
        f"simclr:{tmp_path}": "has no encoder.json",
    }.items():
        with pytest.raises(UserError, match=complaint):
            parse_source(text)


def test_audio_shorter_than_a_frame_is_named(speech, tmp_path):
    import soundfile

    soundfile.write(tmp_path / "short.wav", 0.1 * np.sin(np.arange(410)), 16_000)
    soundfile.write(tmp_path / "shorter.wav", 0.1 * np.sin(np.arange(90)), 16_000)
    files = [*utterances(speech)[:2], *((name, tmp_path / name) for name in ("short.wav", "shorter.wav"))]
    wide = dataclasses.replace(FbankSettings(), frame_ms=40.0)
    found = FrameCache(tmp_path / "cache", files).unusable([FbankSettings(), wide])
    assert found == {
        "shorter.wav": "too short: 90 samples at 16000 Hz, less than 25 ms",
        "short.wav": "too short: 410 samples at 16000 Hz, a frame needs 640",
    }
