"""A stretch of a recording has the samples of a full decode, to the bit, in every format."""

import numpy as np
import pytest

from jfewshot.audio import AudioError, Stretch, decode, decode_stretch
from jfewshot.audio import stretches as module

soundfile = pytest.importorskip("soundfile", reason="soundfile, which reads audio, is not installed")
FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "rf64": ("RF64", "PCM_24"),
    "flac": ("FLAC", "PCM_16"),
    "aiff": ("AIFF", "PCM_24"),
    "au": ("AU", "ULAW"),
    "caf": ("CAF", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "gsm.wav": ("WAV", "GSM610"),
}
RATE, SECONDS = 8000, 6
STRETCHES = [(0.0, 0.5), (0.123456, 1.7), (2.0001, 2.1), (3.3333, 5.99), (5.5, 6.0), (1.0, 6.01)]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    wave = np.cumsum(rng.standard_normal((RATE * SECONDS, 2)), 0)
    wave = 0.3 * wave / np.abs(wave).max()
    for name, (kind, subtype) in FORMATS.items():
        mono = kind == "MP3" or subtype == "GSM610"
        soundfile.write(folder / f"x.{name}", wave[:, 0] if mono else wave, RATE, format=kind, subtype=subtype)
    return folder


@pytest.mark.parametrize("name", FORMATS)
def test_a_stretch_is_a_part_of_a_full_decode(recordings, name):
    path = recordings / f"x.{name}"
    whole, rate = decode(path)
    for start_s, end_s in STRETCHES:
        part, its_rate = decode_stretch(Stretch(path, start_s, end_s))
        assert its_rate == rate
        np.testing.assert_array_equal(part, whole[round(start_s * rate) : round(end_s * rate)])


def test_only_the_stretch_is_read_where_that_is_exact(recordings, monkeypatch):
    monkeypatch.setattr(module, "decode", None)  # which decodes from the start
    for name in ("wav", "flac", "aiff", "caf"):
        decode_stretch(Stretch(recordings / f"x.{name}", 2.0, 2.5))
    for name in ("ogg", "mp3", "gsm.wav"):
        with pytest.raises(TypeError):
            decode_stretch(Stretch(recordings / f"x.{name}", 2.0, 2.5))


def test_a_recording_whose_header_is_wrong_is_mended_first(recordings, tmp_path):
    sound = (recordings / "x.wav").read_bytes()
    never_closed = tmp_path / "open.wav"
    # A recorder that lost its power writes no sizes: that of the file at 4, that of the samples at 40.
    never_closed.write_bytes(sound[:4] + bytes(4) + sound[8:40] + bytes(4) + sound[44:])
    part, rate = decode_stretch(Stretch(never_closed, 2.0, 2.5))
    np.testing.assert_array_equal(part, decode(recordings / "x.wav")[0][2 * rate : round(2.5 * rate)])


@pytest.mark.parametrize("name", ["wav", "mp3"])
def test_a_stretch_that_cannot_be_used_says_why(recordings, name, tmp_path):
    path = recordings / f"x.{name}"
    with pytest.raises(AudioError, match=r"from 5 to 7 s ends behind the recording \(6\.0"):
        decode_stretch(Stretch(path, 5.0, 7.0))
    with pytest.raises(AudioError, match="too short"):
        decode_stretch(Stretch(path, 5.0, 5.01))
    with pytest.raises(AudioError, match="no such file"):
        decode_stretch(Stretch(tmp_path / "nothing.wav", 0.0, 1.0))
