"""Waveform augmentations: tones for pitch and speed, powers for noise, SoX for reverberation, silence and scraps for
all."""

import functools
import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from jfewshot.errors import UserError
from jfewshot.simclr.augmentation import (
    AugmentationConfig,
    add_noise,
    augment_wave,
    coloured_noise,
    impulse_responses,
    make_banks,
    output_samples,
    reverb,
    reverb_continuous,
    speed,
)
from jfewshot.simclr.augmentation.pitch import replay, shift
from jfewshot.simclr.augmentation.resample import TRANSITION, resample
from jfewshot.simclr.augmentation.reverb import _apply, fft_size, transfer

RATE = 16_000
resampled = jax.jit(resample, static_argnums=2)
shifted = jax.jit(shift, static_argnums=2)


def tone(hz: float, samples: int = RATE) -> jax.Array:
    return jnp.asarray(np.sin(2 * np.pi * hz * np.arange(samples) / RATE), jnp.float32)


def spectrum_db(wave) -> np.ndarray:
    """Power per bin in dB below the strongest, by a window whose side lobes are 120 dB down."""
    windowed = np.asarray(wave, np.float64) * np.kaiser(len(wave), 16)
    power = np.square(np.abs(np.fft.rfft(windowed)))
    return 10 * np.log10(power / power.max() + 1e-30)


def peak_hz(wave) -> float:
    """Frequency of the strongest tone, the peak of a parabola through three bins in dB."""
    level = spectrum_db(wave)
    k = int(level.argmax())
    left, middle, right = level[k - 1 : k + 2]
    return (k + 0.5 * (left - right) / (left - 2 * middle + right)) * RATE / len(wave)


@pytest.mark.parametrize("ratio", [0.8, 0.937, 1.0, 1.1, 1.2])
def test_no_image_or_alias_within_50_db_of_a_tone_in_the_pass_band(ratio):
    edge_hz = min(1, 1 / ratio) * 8000 - TRANSITION * RATE
    for hz in (0.1 * edge_hz, 0.5 * edge_hz, 0.98 * edge_hz):
        out = np.asarray(resampled(tone(hz), ratio, int(RATE / ratio)))[200:-200]
        assert abs(1200 * np.log2(peak_hz(out) / (hz * ratio))) < 1.0
        level = spectrum_db(out)
        near = np.abs(np.arange(len(level)) * RATE / len(out) - hz * ratio) < 30
        assert level[~near].max() < -50
        assert np.sqrt(2 * np.mean(np.square(out))) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("hz", [6800.0, 7400.0, 7900.0])
def test_what_would_alias_is_filtered_out(hz):
    # At 1.2 times the speed, everything above 6,667 Hz would fold back.
    out = np.asarray(resampled(tone(hz), 1.2, 13_000))[200:-200]
    assert 10 * np.log10(2 * np.mean(np.square(out))) < -50


def test_resampling_is_exact_far_from_the_start():
    # Ten minutes in, float32 positions would be off by half a sample.
    ratio, n = 1.1, 600 * RATE
    wave = jnp.zeros(n).at[n - 1000].set(1.0)
    out = np.asarray(resampled(wave, ratio, int(n / ratio)))
    exact = round(ratio * 2**15) / 2**15
    assert abs(int(out.argmax()) - (n - 1000) / exact) < 1


@pytest.mark.parametrize("ratio", [0.7, 1.2, 1.9])
def test_every_sample_of_a_long_wave_is_read_where_it_should_be(ratio):
    # Sizes whose transform has not 2^17 points: an overflow of 32-bit positions once hid behind that, and read samples
    # 2^17 off from 27,307 on at a speed of 1.2.
    n = 48_000
    band = np.zeros(n // 2 + 1, complex)
    rng = np.random.default_rng(0)
    band[1 : n // 8] = rng.standard_normal(n // 8 - 1) + 1j * rng.standard_normal(n // 8 - 1)
    wave = np.fft.irfft(band)
    fine = np.fft.irfft(np.concatenate([band, np.zeros(31 * n // 2)])) * 32
    out = np.asarray(resampled(jnp.asarray(wave / wave.std(), jnp.float32), ratio, int(n / ratio)))
    place = np.arange(out.size) * (round(ratio * 2**15) / 2**15)
    wanted = fine[np.minimum(np.round(place * 32).astype(int), fine.size - 1)] / wave.std()
    # Up to half a step of that grid: pi / 8 of a quarter of the band per step. The silence around the wave rings in.
    assert np.abs(out - wanted)[500:-500].max() < 0.05


def test_speed_and_pitch_in_one_are_what_they_are_apart(voice):
    out, length = jax.jit(replay, static_argnums=(4, 5))(tone(440.0), jnp.int32(RATE), 1.15, 200.0, 300.0, 20_000)
    assert int(length) == int(RATE / 1.15)
    assert not np.any(out[int(length) :])
    wanted = 440 * 1.15 * 2 ** (200 / 1200)
    assert abs(1200 * np.log2(peak_hz(out[1000 : int(length) - 1000]) / wanted)) < 3


@pytest.mark.parametrize("cents", [-300.0, -123.0, 0.0, 50.0, 300.0])
@pytest.mark.parametrize("hz", [110.0, 440.0, 2500.0])
def test_pitch_is_right_to_three_cents_and_the_length_stays(cents, hz):
    out = np.asarray(shifted(tone(hz, 2 * RATE), cents, 300.0, jnp.int32(2 * RATE)))
    assert out.shape == (2 * RATE,)
    assert abs(1200 * np.log2(peak_hz(out[3000:-3000]) / (hz * 2 ** (cents / 1200)))) < 3
    assert np.std(out[3000:-3000]) == pytest.approx(np.sqrt(0.5), rel=0.1)


def test_no_shift_gives_the_wave_back(voice):
    out = shifted(jnp.asarray(voice), 0.0, 300.0, jnp.int32(len(voice)))
    # All but what the resampler's filter takes from the top of the band.
    error = np.asarray(out) - np.asarray(resampled(jnp.asarray(voice), 1.0, len(voice)))
    assert np.abs(error).max() < 1e-4


def test_speed_changes_length_and_pitch_together(voice):
    run = jax.jit(speed)
    for seed in range(4):
        key = jax.random.key(seed)
        factor = float(jax.random.uniform(key, minval=0.8, maxval=1.2))
        out, length = run(key, jnp.pad(tone(440.0), (0, 4000)), jnp.int32(RATE))
        assert out.shape == (25_000,)
        assert abs(int(length) - RATE / factor) <= 1
        assert not np.any(out[int(length) :])
        assert abs(1200 * np.log2(peak_hz(out[200 : int(length) - 200]) / (440 * factor))) < 1


def test_the_signal_to_noise_ratio_is_true(voice):
    noises, run = jnp.asarray(coloured_noise(20_000, seed=0)), jax.jit(add_noise)
    for seed, length in enumerate((32_000, 31_000, 5_000, 1_000)):
        key = jax.random.key(seed)
        wave = jnp.asarray(np.where(np.arange(32_000) < length, voice, 0))
        noisy, _ = run(key, wave, jnp.int32(length), noises)
        noise = np.asarray(noisy - wave, np.float64)
        measured = 10 * np.log10(np.mean(np.square(wave[:length])) / np.mean(np.square(noise[:length])))
        drawn = float(jax.random.uniform(jax.random.split(key, 3)[2], minval=5.0, maxval=10.0))
        assert measured == pytest.approx(drawn, abs=0.1)
        assert 5 <= measured <= 10
        assert not np.any(noise[length:])


def test_coloured_noise_falls_as_its_colour_says():
    noise = coloured_noise(1 << 15, seed=1)
    power = np.square(np.abs(np.fft.rfft(noise))).reshape(3, 8, -1).mean(axis=1)
    low, high = power[:, 100:200].mean(axis=1), power[:, 10_000:11_000].mean(axis=1)
    octaves = np.log2(10_500 / 150)
    np.testing.assert_allclose(10 * np.log10(low / high) / octaves, [0, 3.01, 6.02], atol=0.3)


@pytest.fixture(scope="session")
def sox(tmp_path_factory):
    """SoX itself on a wave, by its command line."""
    if shutil.which("sox") is None:
        pytest.skip("SoX is not installed (Debian: apt-get install sox); it is the oracle for reverberation")

    def run(wave, *effect):
        folder = tmp_path_factory.mktemp("sox")
        soundfile.write(folder / "in.wav", wave, RATE, subtype="FLOAT")
        command = ["sox", "-D", "in.wav", "-e", "floating-point", "-b", "32", "out.wav", *map(str, effect)]
        subprocess.run(command, cwd=folder, check=True, timeout=60)
        return soundfile.read(folder / "out.wav")[0]

    return run


@pytest.fixture(scope="module")
def bank():
    return impulse_responses()


@pytest.mark.parametrize("room", [0, 37, 50, 100])
def test_reverberation_is_soxs(voice, sox, bank, room):
    wave = voice[:RATE] * 0.5
    theirs = sox(wave, "reverb", 50, 50, room)
    # A bank of one room, so that the draw is no draw.
    ours, _ = jax.jit(reverb)(jax.random.key(0), jnp.asarray(wave), jnp.int32(RATE), jnp.asarray(bank[room : room + 1]))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(("room", "reverberance", "damping"), [(62.5, 50.0, 50.0), (33.3, 20.0, 80.0)])
def test_reverberation_between_whole_percents_is_soxs_too(voice, sox, room, reverberance, damping):
    wave = voice[:RATE] * 0.5
    theirs = sox(wave, "reverb", reverberance, damping, room)
    n_fft = fft_size(3 * RATE)
    spectrum = jax.jit(lambda room: transfer(room, n_fft, RATE, reverberance, damping))(jnp.float32(room))
    np.testing.assert_allclose(_apply(jnp.asarray(wave), jnp.int32(RATE), spectrum, n_fft), theirs, atol=1e-5)


def test_rooms_ring_as_long_as_they_are_large(bank):
    assert bank.shape == (101, 32_000)

    def t60(response):
        # Schroeder's integral, its fall from -5 to -25 dB, times three.
        energy = np.cumsum(np.square(response[:0:-1].astype(np.float64)))[::-1]
        level = 10 * np.log10(energy / energy[0])
        return 3 * (np.argmax(level < -25) - np.argmax(level < -5)) / RATE

    np.testing.assert_allclose([t60(bank[room]) for room in (0, 50, 100)], [0.30, 0.81, 1.48], rtol=0.15)


AUGMENTATIONS = {
    "speed": speed,
    "pitch": lambda key, wave, length: (shift(wave, 200.0, 300.0, length), length),
    "reverb": functools.partial(reverb, bank=jnp.ones((2, 50))),
    "continuous reverb": reverb_continuous,
    "noise": functools.partial(add_noise, bank=jnp.ones((2, 50))),
}


@pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_silence_and_scraps_stay_finite_and_batches_are_what_their_members_are(augment, voice):
    lengths = jnp.asarray([0, 1, 2, 399, 4000], jnp.int32)
    waves = jnp.where(jnp.arange(4000) < lengths[:, None], voice[8000:12_000], 0.0)
    waves = jnp.concatenate([waves, jnp.zeros((1, 4000))])
    lengths = jnp.append(lengths, 4000)
    keys = jax.random.split(jax.random.key(0), 6)
    out, new_lengths = jax.jit(jax.vmap(augment))(keys, waves, lengths)
    assert np.all(np.isfinite(out))
    assert not np.any(out[5])
    assert not np.any(np.where(np.arange(out.shape[1]) < new_lengths[:, None], 0.0, out))
    alone, _ = jax.jit(augment)(keys[4], waves[4], lengths[4])
    np.testing.assert_allclose(out[4], alone, atol=1e-5)


def test_a_view_is_drawn_from_its_key_alone(voice):
    config = AugmentationConfig()
    banks = make_banks(config, 32_000, RATE, seed=0)
    run = jax.jit(functools.partial(augment_wave, banks=banks, config=config))
    one, length = run(jax.random.key(1), jnp.asarray(voice), jnp.int32(30_000))
    again, _ = run(jax.random.key(1), jnp.asarray(voice).at[30_000:].set(9.0), jnp.int32(30_000))
    other, _ = run(jax.random.key(2), jnp.asarray(voice), jnp.int32(30_000))
    assert one.shape == (output_samples(32_000, config),) == (40_000,)
    np.testing.assert_array_equal(one, again)
    assert float(jnp.abs(one - other).max()) > 0.01
    assert not np.any(one[int(length) :])


def test_every_augmentation_can_be_switched_off(voice):
    off = AugmentationConfig(speed=False, pitch=False, reverb=False, noise=False)
    wave, length = augment_wave(
        jax.random.key(0), jnp.asarray(voice), jnp.int32(32_000), make_banks(off, 10, RATE, 0), off
    )
    np.testing.assert_array_equal(wave, voice)
    assert int(length) == 32_000


@pytest.mark.parametrize("name", ["speed", "pitch", "reverb", "noise"])
def test_what_never_happens_is_as_if_switched_off(name, voice):
    never, off = AugmentationConfig(**{f"{name}_probability": 0.0}), AugmentationConfig(**{name: False})
    banks = make_banks(off, 32_000, RATE, seed=0)
    views = [
        augment_wave(jax.random.key(3), jnp.asarray(voice), jnp.int32(30_000), banks, each) for each in (never, off)
    ]
    np.testing.assert_array_equal(views[0][0], views[1][0])
    assert int(views[0][1]) == int(views[1][1])


def test_a_probability_of_speed_and_pitch_leaves_some_waves_alone(voice):
    config = AugmentationConfig(speed_probability=0.3, pitch_probability=0.3, reverb=False, noise=False)
    banks = make_banks(config, 8000, RATE, seed=0)
    run = jax.jit(jax.vmap(lambda key: augment_wave(key, jnp.asarray(voice[:8000]), jnp.int32(8000), banks, config)))
    out, lengths = run(jax.random.split(jax.random.key(0), 64))
    untouched = np.all(np.asarray(out)[:, :8000] == voice[:8000], axis=1)
    # 0.49 and 0.7 of 64, within four deviations.
    assert 15 <= untouched.sum() <= 48
    assert 30 <= np.sum(np.asarray(lengths) == 8000) <= 60


def test_impossible_settings_are_refused():
    for settings in ({"slowest": 1.3}, {"noise_probability": 1.5}, {"lowest_cents": -3000.0}, {"lowest_snr_db": 20.0}):
        with pytest.raises(UserError):
            AugmentationConfig(**settings)
