"""Decoding, mixing to mono, resampling, segments."""

import numpy as np
import pytest
import soundfile

from jfewshot.audio import AudioError, cut_segments, decode, duration_s, read_audio, resample


def tone(rate: int, seconds: float = 0.5, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_a_tone_survives_resampling_with_its_pitch_and_level(tmp_path, rate):
    soundfile.write(tmp_path / "tone.wav", tone(rate, 1.0), rate, subtype="FLOAT")
    wave = read_audio(tmp_path / "tone.wav", 16_000)
    assert wave.dtype == np.float32
    assert len(wave) == 16_000
    inner = slice(500, -500)  # the filter rings at the ends
    np.testing.assert_allclose(wave[inner], tone(16_000, 1.0)[inner], atol=2e-3)


@pytest.mark.parametrize(
    ("ending", "subtype", "tolerance"),
    [
        ("wav", "PCM_16", 1e-4),
        ("wav", "PCM_24", 1e-6),
        ("wav", "FLOAT", 0),
        ("wav", "DOUBLE", 1e-7),
        ("flac", "PCM_16", 1e-4),
        ("ogg", "VORBIS", 0.1),
        ("mp3", None, 0.1),
    ],
)
def test_formats_decode_to_the_same_samples(tmp_path, ending, subtype, tolerance):
    path = tmp_path / f"tone.{ending}"
    soundfile.write(path, tone(16_000), 16_000, subtype=subtype)
    wave, rate = decode(path)
    assert rate == 16_000
    np.testing.assert_allclose(wave[1000:7000], tone(16_000)[1000:7000], atol=tolerance)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize(
    ("ending", "subtype", "most_channels"),
    [
        *[("wav", subtype, 6) for subtype in ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")],
        ("flac", "PCM_16", 6),
        ("flac", "PCM_24", 6),
        ("ogg", "VORBIS", 6),
        ("mp3", None, 2),  # as many as there can be
    ],
)
def test_every_kind_of_file_at_every_rate_is_the_mean_of_its_channels(tmp_path, ending, subtype, most_channels, rate):
    for n_channels in sorted({1, 2, most_channels}):
        loudness = np.linspace(0.4, 1, n_channels)
        if (ending, n_channels) == ("ogg", 6):
            loudness[-1] = 0  # Vorbis takes the sixth for one of low notes alone
        path = tmp_path / f"{n_channels}.{ending}"
        soundfile.write(path, tone(rate)[:, None] * loudness, rate, subtype=subtype)
        inner = slice(1_500, 6_500)  # lossy codecs and filters ring at the ends
        expected = tone(16_000)[inner] * loudness.mean()
        difference = read_audio(path, 16_000)[inner] - expected
        lossy = ending in ("ogg", "mp3")
        assert np.sqrt((difference**2).mean()) < (0.1 if lossy else 0.01) * np.sqrt((expected**2).mean())


@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_channels_are_averaged(tmp_path, n_channels):
    channels = np.random.default_rng(0).uniform(-0.5, 0.5, (1_000, n_channels)).astype(np.float32)
    soundfile.write(tmp_path / "many.wav", channels, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(decode(tmp_path / "many.wav")[0], channels.mean(axis=1), atol=1e-7)


def test_equal_rates_leave_the_wave_alone():
    wave = tone(16_000)
    assert resample(wave, 16_000, 16_000) is wave


def test_a_short_clip_is_repeated_circularly():
    segments = cut_segments(np.arange(3.0, dtype=np.float32), 8)
    assert segments.tolist() == [[0, 1, 2, 0, 1, 2, 0, 1]]


def test_a_short_last_segment_is_repeated_from_its_own_start():
    segments = cut_segments(np.arange(10.0, dtype=np.float32), 4)
    assert segments.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 8, 9]]


def test_a_wave_of_whole_segments_gets_no_tail():
    assert cut_segments(np.zeros(8, np.float32), 4).shape == (2, 4)


def test_a_tiny_tail_is_dropped_only_behind_a_full_segment():
    assert cut_segments(np.zeros(9, np.float32), 4, min_tail_samples=2).shape == (2, 4)
    assert cut_segments(np.zeros(10, np.float32), 4, min_tail_samples=2).shape == (3, 4)
    assert cut_segments(np.zeros(1, np.float32), 4, min_tail_samples=2).shape == (1, 4)


def test_whole_clips_are_not_cut():
    assert cut_segments(np.zeros(9, np.float32), None).shape == (1, 9)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(16_000, np.float32), "silent"),
        (np.full(16_000, 0.25, np.float32), "silent"),
        (np.zeros(0, np.float32), "empty"),
        (tone(16_000)[:100], "too short: 100 samples"),
        (np.where(np.arange(16_000) == 5, np.nan, 0.1).astype(np.float32), "NaN"),
    ],
)
def test_useless_audio_is_refused_with_its_reason(tmp_path, samples, reason):
    soundfile.write(tmp_path / "bad.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=reason) as caught:
        read_audio(tmp_path / "bad.wav", 16_000)
    assert reason in caught.value.reason
    assert "bad.wav" in str(caught.value)


def test_files_that_are_no_audio_are_refused(tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    with pytest.raises(AudioError, match="cannot be decoded"):
        read_audio(tmp_path / "text.wav", 16_000)
    with pytest.raises(AudioError, match="no such file"):
        read_audio(tmp_path / "absent.wav", 16_000)
    with pytest.raises(AudioError, match="no such file"):
        duration_s(tmp_path / "absent.wav")


def test_a_truncated_file_gives_what_is_there_or_an_error(tmp_path):
    soundfile.write(tmp_path / "whole.flac", tone(16_000), 16_000)
    data = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[:60])
    with pytest.raises(AudioError):
        read_audio(tmp_path / "cut.flac", 16_000)


def test_the_header_gives_the_duration(tmp_path):
    soundfile.write(tmp_path / "tone.ogg", tone(22_050, 1.5), 22_050)
    assert duration_s(tmp_path / "tone.ogg") == pytest.approx(1.5, abs=1e-3)


def test_reading_can_stop_early(tmp_path):
    soundfile.write(tmp_path / "tone.wav", tone(8_000, 2.0), 8_000)
    assert len(read_audio(tmp_path / "tone.wav", 16_000, max_duration_s=0.5)) == 8_000
