"""Recorded noise: each second equally likely, whatever the lengths of recordings, in bounded memory."""

import numpy as np
import pytest
import soundfile
from scipy.stats import chisquare

from jfewshot.errors import UserError
from jfewshot.simclr.augmentation import AugmentationConfig, NoisePool, make_banks

RATE = 8_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten seconds in four recordings. The samples of second k of all lie between k and k + 1 tenths, by their order."""
    folder = tmp_path_factory.mktemp("noise")
    at = 0.0
    for name, seconds in (("a/one.wav", 1), ("b/six.flac", 6), ("b/two.wav", 2), ("one.wav", 1)):
        (folder / name).parent.mkdir(exist_ok=True)
        n = seconds * RATE
        soundfile.write(folder / name, (at + np.arange(n) / RATE) / 10, RATE, subtype="PCM_16")
        at += seconds
    (folder / "page.wav").write_bytes(b"<html>404</html>")
    return folder


def test_each_second_is_equally_likely(folder, caplog):
    caplog.set_level("INFO")
    pool = NoisePool(folder, RATE // 2, RATE, seed=3, pieces=64)
    assert "noise left out" in caplog.text
    assert "page.wav" in caplog.text
    assert "noise: 4 recordings, 0.00 h (. 0.00 h, a 0.00 h, b 0.00 h); 64 pieces of 0.5 s at a time" in caplog.text
    banks = np.stack([pool.bank(number) for number in range(25)])
    assert banks.shape == (25, 64, RATE // 2)
    # Where pieces begin is independent: 1,600 draws over ten seconds.
    starts = np.floor(banks[:, :, 0].ravel() * 10).astype(int)
    assert chisquare(np.bincount(starts, minlength=10)).pvalue > 0.001
    # Every sample, at the edges of recordings as within them: a tenth each, by 1,600 half-seconds.
    shares = np.bincount(np.floor(banks.ravel() * 10 - 1e-4).clip(0).astype(int), minlength=10) / banks.size
    np.testing.assert_allclose(shares, 0.1, atol=4 * (0.1 * 0.9 / 1600) ** 0.5)


def test_a_piece_goes_round_in_its_recording(folder):
    pool = NoisePool(folder, RATE * 3 // 2, RATE, seed=0, pieces=16)
    for piece, wave in enumerate(pool.bank(5)):
        path, start_s = pool.place(5, piece)
        whole, _ = soundfile.read(path, dtype="float32")
        first = round(start_s * RATE)
        by_hand = whole[(first + np.arange(len(wave))) % len(whole)]
        # Rounded to whole samples where a file is cut: one sample, 1/80,000, but for the jump where it begins again.
        assert np.sum(np.abs(wave - by_hand) > 3e-5) <= 4


def test_banks_are_functions_of_seed_and_number(folder):
    pool, again, other = (NoisePool(folder, RATE, RATE, seed=seed, pieces=8) for seed in (0, 0, 1))
    np.testing.assert_array_equal(pool.bank(7), again.bank(7))
    assert not np.array_equal(pool.bank(7), pool.bank(8))
    assert not np.array_equal(pool.bank(7), other.bank(7))
    # A small folder makes a small bank.
    assert NoisePool(folder, RATE, RATE, seed=0).bank(0).shape == (40, RATE)
    config = AugmentationConfig(speed=False, reverb=False, noise_folder=folder, noise_pieces=8)
    np.testing.assert_array_equal(make_banks(config, RATE, RATE, 0).noises, pool.bank(0))


def test_silence_is_noise_too_and_lost_recordings_are_replaced(tmp_path, caplog):
    wave = np.zeros(4 * RATE)
    wave[2 * RATE :] = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * RATE)
    soundfile.write(tmp_path / "half.wav", wave, RATE)
    soundfile.write(tmp_path / "lost.wav", wave, RATE)
    pool = NoisePool(tmp_path, RATE // 4, RATE, seed=0, pieces=32)
    (tmp_path / "lost.wav").unlink()
    bank = pool.bank(0)
    assert 6 <= np.sum(~np.any(bank, axis=1)) <= 26  # half, less those on the edge
    assert caplog.text.count("noise not used") == 1
    (tmp_path / "half.wav").unlink()
    with pytest.raises(UserError, match="too many recordings of noise cannot be read"):
        pool.bank(1)


def test_no_noise_is_refused(tmp_path):
    with pytest.raises(UserError, match="no noise in"):
        NoisePool(tmp_path, RATE, RATE, seed=0)
    with pytest.raises(UserError, match="needs at least 1 of both"):
        AugmentationConfig(noise_every=0)
