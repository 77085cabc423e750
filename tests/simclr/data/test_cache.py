"""Keeping decoded utterances in memory."""

import pickle

import numpy as np
import pytest
import soundfile

from jfewshot.audio import AudioError, read_audio
from jfewshot.simclr.data import cache as cache_module
from jfewshot.simclr.data.cache import WaveCache

RATE = 16_000


@pytest.fixture
def files(tmp_path):
    wave = np.clip(0.5 * np.random.default_rng(0).standard_normal(8000), -1, 1)
    # 16 bits at the wanted rate; the extremes of 16 bits; floats; another rate.
    soundfile.write(tmp_path / "plain.flac", wave, RATE)
    soundfile.write(tmp_path / "loud.wav", np.where(wave > 0, 32767, -32768).astype(np.int16), RATE)
    soundfile.write(tmp_path / "float.wav", 1.5 * wave, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "other.wav", wave, 8000)
    return sorted(tmp_path.iterdir())


def test_what_is_kept_comes_back_as_it_was_and_is_decoded_once(files, monkeypatch):
    cache, decoded = WaveCache(RATE, 10**6), []

    def counted(path, rate):
        decoded.append(path)
        return read_audio(path, rate)

    monkeypatch.setattr(cache_module, "read_audio", counted)
    for _ in range(3):
        for path in files:
            wave = cache.read(path)
            assert wave.dtype == np.float32
            np.testing.assert_array_equal(wave, read_audio(path, RATE))
    assert decoded == files
    # Two of 8,000 samples in 2 bytes each, 8,000 and 16,000 in 4.
    assert cache.kept_bytes == 2 * 16_000 + 32_000 + 64_000


def test_no_more_is_kept_than_allowed_and_workers_begin_empty(files):
    cache = WaveCache(RATE, 40_000)
    for _ in range(2):
        for path in files:
            np.testing.assert_array_equal(cache.read(path), read_audio(path, RATE))
    assert 0 < cache.kept_bytes <= 40_000
    other = pickle.loads(pickle.dumps(cache))
    assert (other.sample_rate, other.limit_bytes, other.kept_bytes) == (RATE, 40_000, 0)
    np.testing.assert_array_equal(other.read(files[0]), read_audio(files[0], RATE))


def test_a_file_that_cannot_be_read_says_so_every_time(tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    cache = WaveCache(RATE, 10**6)
    for _ in range(2):
        with pytest.raises(AudioError, match=r"broken\.wav"):
            cache.read(tmp_path / "broken.wav")
