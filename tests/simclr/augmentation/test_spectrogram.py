"""Masks and TERA's alteration: what their statistics should be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.simclr.augmentation import (
    AlterationConfig,
    AugmentationConfig,
    alter,
    limit_band,
    mask_spectrogram,
    repeated,
)
from jfewshot.simclr.augmentation.masks import interval
from jfewshot.simclr.settings import FbankSettings

N = 4000
KEYS = jax.random.split(jax.random.key(0), N)


def altered(config, n_frames=100, total=120, features=None):
    features = jnp.ones((total, 80)) if features is None else features
    features = jnp.where(jnp.arange(total)[:, None] < n_frames, features, 0.0)
    out, asked = jax.jit(jax.vmap(lambda key: alter(key, features, jnp.int32(n_frames), config)))(KEYS)
    return np.asarray(features), np.asarray(out), np.asarray(asked)


def test_mask_widths_are_uniform_and_lie_within_the_true_frames():
    masks = np.asarray(jax.jit(jax.vmap(lambda key: interval(key, 120, jnp.int32(100), 40)))(KEYS))
    widths = np.bincount(masks.sum(axis=1), minlength=41)
    assert len(widths) == 41
    # Each of 41 widths about N / 41 times; five standard deviations of a binomial.
    np.testing.assert_allclose(widths, N / 41, atol=5 * np.sqrt(N / 41))
    assert not np.any(masks[:, 100:])
    assert np.all(np.abs(np.diff(masks.astype(int), axis=1)).sum(axis=1) <= 2)  # one run
    starts = np.where(masks.any(axis=1), masks.argmax(axis=1), -1)
    assert starts.max() > 90


def test_both_masks_are_laid_over_the_spectrogram():
    out = np.asarray(jax.vmap(lambda key: mask_spectrogram(key, jnp.ones((120, 80)), jnp.int32(100)))(KEYS[:500]))
    rows, columns = (out == 0).all(axis=2).sum(axis=1), (out == 0).all(axis=1).sum(axis=1)
    assert rows.max() <= 40
    assert columns.max() <= 10
    assert rows.mean() == pytest.approx(20, abs=2)
    assert columns.mean() == pytest.approx(5, abs=0.7)


def test_a_time_mask_is_no_wider_than_its_share_of_the_frames():
    def mask(key, n_frames):
        return (mask_spectrogram(key, jnp.ones((1200, 1)), n_frames, 40, 0, 0.08) == 0)[:, 0].sum()

    n_frames, expected = jnp.array([98, 1200, 5]), np.array([7, 40, 0])
    widths = np.asarray(jax.jit(jax.vmap(jax.vmap(mask, (0, None)), (None, 0)))(KEYS[:400], n_frames))
    np.testing.assert_array_equal(widths.max(axis=1), expected)
    # Uniform from 0 to the widest.
    np.testing.assert_allclose(widths.mean(axis=1), expected / 2, atol=1.5)


@pytest.mark.parametrize("n_frames", [0, 1, 3])
def test_scraps_are_masked_and_altered_without_harm(n_frames):
    features = jnp.ones((50, 80))
    out = jax.vmap(lambda key: mask_spectrogram(key, features, jnp.int32(n_frames)))(KEYS[:50])
    assert np.all(np.isfinite(out))
    _, out, asked = altered(AlterationConfig(magnitude=True), n_frames=n_frames)
    assert np.all(np.isfinite(out))
    assert not np.any(asked[:, n_frames:])


def test_time_alteration_covers_its_share_in_whole_segments():
    _, _, asked = altered(AlterationConfig(channel=False))
    frames = asked.any(axis=2)
    np.testing.assert_array_equal(frames, asked.all(axis=2))
    assert not np.any(frames[:, 100:])
    # floor(0.15 * 100 / 4) = 3 starts without replacement, so 5 to 12 frames: overlapping segments share frames.
    counts = frames.sum(axis=1)
    assert counts.min() >= 6
    assert counts.max() == 12
    # Mean cover of 3 segments of 4 on 97 places: each pair overlaps rarely.
    assert counts.mean() == pytest.approx(12 - 3 * 2 * (3 + 2 + 1) / 97, abs=0.1)


def test_segments_are_zeroed_replaced_or_left_as_80_10_10():
    # A ramp in time, so that every frame says where it comes from.
    ramp = jnp.broadcast_to(1.0 + jnp.arange(120.0)[:, None], (120, 80))
    original, out, asked = altered(AlterationConfig(channel=False), features=ramp)
    frames, now, before = asked.any(axis=2), out[:, :, 0], original[:, 0]
    zeroed = (now == 0)[frames].mean()
    left = (now == before)[frames].mean()
    assert zeroed == pytest.approx(0.8, abs=0.02)
    assert left == pytest.approx(0.1 + 0.1 / 97, abs=0.015)
    # What replaces is a true frame of the same utterance, and frames not asked for are untouched.
    assert now.max() <= 100
    np.testing.assert_array_equal(now[~frames], np.broadcast_to(before, now.shape)[~frames])
    # Within a segment, the replacement runs on as the original does.
    shift = np.where(frames & (now > 0), now - before, np.nan)[:, :100]
    run = np.diff(shift, axis=1)
    assert np.mean(run[np.isfinite(run)] == 0) > 0.9


def test_s3prls_dice_decides_for_the_whole_utterance():
    ramp = jnp.broadcast_to(1.0 + jnp.arange(120.0)[:, None], (120, 80))
    _, out, asked = altered(AlterationConfig(channel=False, dice="utterance"), features=ramp)
    frames, zero = asked.any(axis=2), out[:, :, 0] == 0
    share = (zero & frames).sum(axis=1) / frames.sum(axis=1)
    assert set(np.unique(share)) == {0.0, 1.0}
    assert share.mean() == pytest.approx(0.8, abs=0.02)


def test_channel_alteration_zeroes_up_to_four_neighbours_everywhere():
    _, out, asked = altered(AlterationConfig(time=False))
    channels = asked.any(axis=1)
    np.testing.assert_array_equal(out[:, :100] == 0, asked[:, :100])
    widths = np.bincount(channels.sum(axis=1), minlength=5)
    np.testing.assert_allclose(widths, N / 5, atol=5 * np.sqrt(N * 0.16))
    assert np.all(np.abs(np.diff(channels.astype(int), axis=1)).sum(axis=1) <= 2)


def test_magnitude_alteration_adds_noise_now_and_then_and_asks_for_nothing():
    original, out, asked = altered(AlterationConfig(time=False, channel=False, magnitude=True))
    noisy = np.any(out != original, axis=(1, 2))
    assert noisy.mean() == pytest.approx(0.15, abs=0.03)
    assert np.std((out - original)[noisy][:, :100]) == pytest.approx(0.2, rel=0.02)
    assert not np.any(asked)
    assert not np.any(out[:, 100:])


def test_a_limited_band_has_the_floor_above_its_limit_and_is_unchanged_below():
    config = AugmentationConfig(lowest_band_hz=3000.0, highest_band_hz=5000.0, band_limit_probability=0.25)
    features = np.linspace(-5, 5, 30 * 80, dtype=np.float32).reshape(30, 80)
    limit = jax.jit(jax.vmap(lambda key: limit_band(key, jnp.asarray(features), config, FbankSettings())))
    out = np.asarray(limit(KEYS))
    floor = np.float32(np.log(np.finfo(np.float32).eps))
    kept = out == features
    assert np.all(kept | (out == floor))
    assert np.all(kept == kept[:, :1])  # all frames alike
    lost = 80 - kept[:, 0].sum(axis=1)
    assert np.all(kept[:, 0] == (np.arange(80) < (80 - lost)[:, None]))  # the upper channels
    # Slaney's formula of the mel scale as Kaldi has it, with the triangles' centres at equal distances on it.
    mel = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(8000 / 700), 82)[1:-1]
    centres_hz = 700 * np.expm1(mel / 1127)
    limited = lost > 0
    assert limited.mean() == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / N))
    assert lost[limited].min() == np.sum(centres_hz > 5000)
    assert lost[limited].max() == np.sum(centres_hz > 3000)


def test_impossible_band_limits_are_refused():
    with pytest.raises(UserError, match="the lower one first"):
        AugmentationConfig(lowest_band_hz=5000.0, highest_band_hz=3000.0)
    with pytest.raises(UserError, match="band_limit with probability 2"):
        AugmentationConfig(band_limit_probability=2.0)


@pytest.mark.parametrize("length", [1, 7, 20, 0])
def test_a_short_wave_is_repeated_to_the_end_as_extraction_does(length):
    wave = np.where(np.arange(20) < length, np.arange(1, 21), 0).astype(np.float32)
    out, samples = repeated(jnp.asarray(wave), jnp.int32(length))
    np.testing.assert_array_equal(out, np.resize(wave[:length], 20) if length else wave)
    assert samples == (20 if length else 0)
