"""Recorded rooms: which files are responses, and what becomes of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from jfewshot.errors import UserError
from jfewshot.simclr.augmentation import AugmentationConfig, augment_wave, make_banks, room_responses

RATE = 16_000


def published(folder):
    """OpenSLR 28 in small: two simulated rooms, one of two channels recorded, and a noise that is no room."""
    rng = np.random.default_rng(0)
    for place, shift in (("simulated_rirs/smallroom", 40), ("simulated_rirs/largeroom", 90), ("real_rirs", 400)):
        wave = np.zeros(4000)
        wave[shift:] = np.exp(-np.arange(4000 - shift) / 500) * rng.standard_normal(4000 - shift) / 10
        wave[shift] = -0.9
        path = folder / place / "Room001" / "Room001-00001.wav"
        path.parent.mkdir(parents=True)
        channels = np.stack([wave, np.roll(wave, 7)], axis=1) if place == "real_rirs" else wave
        soundfile.write(path, channels, RATE, subtype="FLOAT")
        line = f"--rir-id {place} --room-id Room001 RIRS_NOISES/{place}/Room001/Room001-00001.wav"
        (folder / place / "rir_list").write_text(f"{line}\n")
    (folder / "pointsource_noises").mkdir()
    soundfile.write(folder / "pointsource_noises" / "noise.wav", rng.standard_normal(4000) / 10, RATE)
    return folder


def test_the_lists_of_the_published_folder_say_which_files_are_rooms(tmp_path):
    folder = published(tmp_path / "anywhere")
    found = room_responses(folder, RATE, seed=0, rooms=9, tail_s=0.2)
    assert found.shape == (3, 3200)
    np.testing.assert_allclose(np.sum(found.astype(np.float64) ** 2, axis=1), 1.0, rtol=1e-6)
    # The direct sound stands a millisecond from the start, however late it came.
    assert np.argmax(np.abs(found), axis=1).tolist() == [16, 16, 16]
    # By hand: the first channel from 16 samples before its peak on.
    wave = soundfile.read(folder / "real_rirs" / "Room001" / "Room001-00001.wav")[0][384 : 384 + 3200, 0]
    by_hand = wave / np.sqrt(np.sum(wave**2))
    assert np.min(np.abs(found - by_hand).max(axis=1)) < 1e-6
    one = room_responses(folder / "simulated_rirs", RATE, seed=1, rooms=1, tail_s=0.2)
    assert one.shape == (1, 3200)
    np.testing.assert_array_equal(one, room_responses(folder / "simulated_rirs", RATE, seed=1, rooms=1, tail_s=0.2))


def test_a_view_is_the_wave_in_a_recorded_room(tmp_path):
    folder = tmp_path / "rooms"
    folder.mkdir()
    soundfile.write(
        folder / "echo.wav", np.r_[np.zeros(16), 0.5, np.zeros(99), 0.25, np.zeros(50)], RATE, subtype="FLOAT"
    )
    soundfile.write(folder / "silent.wav", np.zeros(100), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF")
    chosen = AugmentationConfig(speed=False, pitch=False, noise=False, reverb_probability=1.0, rooms_folder=folder)
    banks = make_banks(chosen, 1000, RATE, 0)
    assert banks.rooms.shape == (1, 32_000)
    wave = np.zeros(1000, np.float32)
    wave[100] = 1.0
    heard, length = augment_wave(jax.random.key(0), jnp.asarray(wave), jnp.int32(1000), banks, chosen)
    expected = np.zeros(1000)
    expected[[116, 216]] = np.array([2, 1]) / 5**0.5
    np.testing.assert_allclose(heard, expected, atol=1e-6)
    assert int(length) == 1000


def test_a_folder_without_rooms_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no room responses in .*RIRS_NOISES"):
        room_responses(tmp_path, RATE, 0, 8, 1.0)
    with pytest.raises(UserError, match=r"--augmentation\.reverb-continuous draws SoX's rooms"):
        AugmentationConfig(rooms_folder=tmp_path, reverb_continuous=True)
