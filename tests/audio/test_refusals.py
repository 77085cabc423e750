"""Files that are no audio, and headers that ask for too much: each a line that names the file and the fix."""

import struct

import numpy as np
import pytest

from jfewshot.audio import MIN_DURATION_S, AudioError, Unusable, decode, duration_s, read_audio, resample
from tests.audio.programs import RATE, run, written


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty: no samples, the file has 0 bytes"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a page of HTML or XML; download the audio again"),
        (b"\xef\xbb\xbf\n <HTML lang='de'>", "a page of HTML or XML"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a page of HTML or XML"),
        (b'{"message": "Not Found"}', "JSON text"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            "a Git LFS pointer in place of the audio: run",
        ),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(300), "an AppleDouble file"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(300), "MP4 or M4A, format not read: convert it with ffmpeg"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(300), "Windows Media audio"),
        (b"\x1aE\xdf\xa3" + bytes(300), "Matroska or WebM"),
        (b"#!AMR\n" + bytes(300), "AMR audio"),
        (b"PK\x03\x04" + bytes(300), "a ZIP archive"),
        (bytes(3000), "nothing but zero bytes"),
        (b"not audio at all", "cannot be decoded"),
        (b"\xff" * 2000, "cannot be decoded"),
    ],
)
@pytest.mark.parametrize("ending", ["mp3", "wav", "flac", "ogg"])
def test_what_is_no_audio_is_called_by_its_name(tmp_path, ending, content, reason):
    path = tmp_path / f"x.{ending}"
    path.write_bytes(content)
    for read in (decode, duration_s):
        with pytest.raises(AudioError) as caught:
            read(path)
        assert reason in caught.value.reason
        assert "no such file" not in caught.value.reason
        assert str(caught.value) == f"{path}: {caught.value.reason}"
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["m4a", "mka", "wma"])
def test_what_ffmpeg_writes_and_libsndfile_does_not_read_names_the_fix(tmp_path, ending):
    source = written(tmp_path / "x.wav")
    run("ffmpeg", "-v", "error", "-i", source, tmp_path / f"x.{ending}")
    (tmp_path / f"x.{ending}").rename(tmp_path / "renamed.wav")
    with pytest.raises(
        AudioError, match=r"convert it with ffmpeg, for instance `ffmpeg -i renamed\.wav renamed\.flac`"
    ):
        decode(tmp_path / "renamed.wav")


def header(path, rate=RATE, channels=1, bits=16):
    """A wave file's header with other facts, the samples left as they are."""
    data = bytearray(path.read_bytes())
    struct.pack_into(
        "<HIIHH", data, 22, channels, rate, rate * channels * bits // 8 % 2**32, channels * bits // 8 % 2**16, bits
    )
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"rate": 1}, "sample rate of 1 Hz; 100 to 2,000,000 are read"),
        ({"rate": 16}, "sample rate of 16 Hz"),
        ({"rate": 99}, "sample rate of 99 Hz"),
        ({"rate": 2_000_001}, "sample rate of 2000001 Hz"),
        ({"rate": 2_147_483_647}, "sample rate of 2147483647 Hz"),
        ({"channels": 65}, "65 channels; at most 64"),
        ({"channels": 1000}, "1000 channels; at most 64"),
    ],
)
def test_a_header_beyond_the_limits_is_refused_before_anything_is_decoded(tmp_path, facts, reason):
    path = header(written(tmp_path / "x.wav", 20.0), **facts)
    for read in (decode, duration_s, lambda path: read_audio(path, 16_000)):
        with pytest.raises(AudioError, match=reason):
            read(path)


@pytest.mark.parametrize("rate", [100, 500_000])
def test_rates_within_the_limits_are_read(tmp_path, rate):
    path = header(written(tmp_path / "x.wav", 2.0), rate=rate)
    wave, seen = decode(path)
    assert (len(wave), seen) == (2 * RATE, rate)


def test_more_hours_than_the_limit_are_refused(tmp_path):
    path = tmp_path / "x.wav"
    with open(written(path), "r+b") as file:  # a sparse file: 13 h at 100 Hz
        header(path, rate=100)
        size = 13 * 3600 * 100 * 2
        file.truncate(44 + size)
        file.seek(40)
        file.write(struct.pack("<I", size))
    with pytest.raises(AudioError, match=r"too long: 4,680,000 samples of 1 channels, 13\.0 h; at most .* 12 h"):
        decode(path)


def test_resampling_to_more_than_the_limit_is_refused():
    wave = np.zeros(3_000_000, np.float32)
    with pytest.raises(Unusable, match=r"too long: 8\.3 h at 48000 Hz"):
        resample(wave, 100, 48_000)


def test_folders_and_impossible_names_are_reasons(tmp_path):
    (tmp_path / "x.wav").mkdir()
    with pytest.raises(AudioError, match="a folder, not a file"):
        decode(tmp_path / "x.wav")
    with pytest.raises(AudioError, match="cannot be read"):
        decode("a\0b.wav")
    assert MIN_DURATION_S == 0.025
