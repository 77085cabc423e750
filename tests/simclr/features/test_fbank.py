"""The filterbank against kaldi-native-fbank, Kaldi's own C++ behind a Python binding."""

import jax.numpy as jnp
import kaldi_native_fbank
import numpy as np
import pytest
import soundfile

from jfewshot.simclr.features import FbankSettings, fbank, n_frames


def kaldi(wave: np.ndarray, settings: FbankSettings) -> np.ndarray:
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.samp_freq = settings.sample_rate
    options.frame_opts.frame_length_ms = settings.frame_ms
    options.frame_opts.frame_shift_ms = settings.hop_ms
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = settings.n_mels
    options.mel_opts.low_freq = settings.low_hz
    options.mel_opts.high_freq = settings.high_hz or 0.0
    computer = kaldi_native_fbank.OnlineFbank(options)
    computer.accept_waveform(settings.sample_rate, (wave * settings.scale).tolist())
    computer.input_finished()
    frames = [computer.get_frame(i) for i in range(computer.num_frames_ready)]
    return np.stack(frames) if frames else np.zeros((0, settings.n_mels), np.float32)


@pytest.mark.parametrize(
    "settings",
    [FbankSettings(), FbankSettings(scale=32768.0), FbankSettings(n_mels=40, low_hz=60.0, high_hz=7600.0)],
    ids=["unit scale", "integer scale", "forty bins"],
)
def test_it_is_kaldis(voice, settings):
    ours, count = fbank(jnp.asarray(voice), settings=settings)
    theirs = kaldi(voice, settings)
    assert int(count) == len(theirs)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_it_is_kaldis_on_real_speech(spoken_words):
    for file in spoken_words:
        wave, _ = soundfile.read(file, dtype="float32")
        ours, _ = fbank(jnp.asarray(wave))
        np.testing.assert_allclose(ours, kaldi(wave, FbankSettings()), atol=1e-3, err_msg=str(file))


def test_it_is_kaldis_at_another_rate(voice):
    settings = FbankSettings(sample_rate=8000)
    ours, _ = fbank(jnp.asarray(voice), settings=settings)
    np.testing.assert_allclose(ours, kaldi(voice, settings), atol=1e-3)


def test_digital_silence_sits_on_the_floor():
    features, _ = fbank(jnp.zeros(4000))
    np.testing.assert_allclose(features, np.log(np.finfo(np.float32).eps))


@pytest.mark.parametrize("length", [0, 399, 400, 559, 560, 12_345])
def test_padding_and_batching_change_nothing(voice, length):
    batch = np.zeros((2, 16_000), np.float32)
    batch[0, :length] = voice[8000 : 8000 + length]
    batch[1] = voice[:16_000]
    batch[0, length:] = 0.123  # what stands in the padding must not matter
    features, counts = fbank(jnp.asarray(batch), jnp.asarray([length, 16_000]))
    theirs = kaldi(voice[8000 : 8000 + length], FbankSettings())
    assert int(counts[0]) == len(theirs) == n_frames(length)
    np.testing.assert_allclose(features[0, : len(theirs)], theirs, atol=1e-3)
    assert not np.any(features[0, len(theirs) :])


def test_a_wave_shorter_than_a_frame_has_no_frames():
    features, count = fbank(jnp.zeros((3, 399)))
    assert features.shape == (3, 0, 80)
    assert not np.any(count)
