"""Headers that tell a wrong size: everything that is there is decoded; what lacks a part is refused."""

import io
import struct

import numpy as np
import pytest
import soundfile

from jfewshot.audio import AudioError, decode, duration_s
from jfewshot.audio.containers import place_of
from tests.audio.programs import RATE, decoded_by_ffmpeg, ffmpeg, run, signal, written

FORMATS = {"wav": "WAV", "rf64": "RF64", "aiff": "AIFF", "au": "AU", "w64": "W64", "caf": "CAF"}
DEPTHS = {"PCM_16": 2**-15, "PCM_24": 2**-23, "FLOAT": 0.0, "DOUBLE": 1e-7, "ULAW": 0.02}


def plain(folder, ending, subtype="PCM_16", seconds=1.0):
    return written(folder / f"x.{ending}", seconds, format=FORMATS[ending], subtype=subtype)


def with_size(path, size):
    """The file with another size of its samples in the header; `size` counts samples alone."""
    data = bytearray(path.read_bytes())
    place = place_of(io.BytesIO(data))
    width = 8 * struct.calcsize(place.size_format)
    struct.pack_into(
        place.size_format.upper(), data, place.size_at, (size + place.size_more * (0 < size < 2**30)) % 2**width
    )
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("subtype", DEPTHS)
@pytest.mark.parametrize("ending", FORMATS)
def test_a_right_header_is_left_alone(tmp_path, ending, subtype):
    path = plain(tmp_path, ending, subtype)
    wave, rate = decode(path)
    assert rate == RATE
    assert len(wave) == RATE
    assert duration_s(path) == 1.0
    np.testing.assert_allclose(wave, signal(), atol=DEPTHS[subtype])


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("size", [0, -1, 1000, 20_000])
@pytest.mark.parametrize("ending", FORMATS)
def test_a_size_that_is_unknown_or_too_small_loses_nothing(tmp_path, ending, size, subtype):
    path = plain(tmp_path, ending, subtype)
    whole, _ = decode(path)
    wave, _ = decode(with_size(path, size))
    np.testing.assert_array_equal(wave, whole)
    assert duration_s(path) == 1.0


@pytest.mark.parametrize(
    "sizes", [(0, 0), (0, 2**32 - 1), (2**32 - 1, 2**32 - 1), (2**31 - 1, 2**31 - 40), (36, 0), (0, 44_100)]
)
def test_a_wave_file_that_was_never_closed_is_decoded_to_its_end(tmp_path, sizes):
    path = plain(tmp_path, "wav")
    data = bytearray(path.read_bytes())
    data[4:8], data[40:44] = (struct.pack("<I", size) for size in sizes)
    path.write_bytes(data)
    np.testing.assert_allclose(decode(path)[0], signal(), atol=2**-15)
    np.testing.assert_array_equal(decode("in memory", content=bytes(data))[0], decode(path)[0])


@pytest.mark.parametrize(
    "options",
    [
        ["-f", "wav"],
        ["-f", "wav", "-rf64", "always"],
        ["-f", "wav", "-c:a", "pcm_f32le"],
        ["-f", "w64"],
        ["-f", "au"],
        ["-f", "caf"],
        ["-f", "aiff"],
        ["-f", "wav", "-c:a", "pcm_u8"],
    ],
    ids=" ".join,
)
def test_what_ffmpeg_writes_into_a_pipe_is_whole(tmp_path, options):
    path = tmp_path / "pipe"
    path.write_bytes(ffmpeg(plain(tmp_path, "wav"), *options))
    wave, rate = decode(path)
    assert (len(wave), rate, duration_s(path)) == (RATE, RATE, 1.0)
    np.testing.assert_allclose(wave, signal(), atol=2**-7 if "pcm_u8" in options else 2**-15)


@pytest.mark.parametrize("kind", [["-t", "wav"], ["-t", "au"], ["-t", "wav", "-b", "24"], ["-t", "aiff"]], ids=" ".join)
def test_what_sox_writes_into_a_pipe_is_whole(tmp_path, kind):
    raw = (32768 * signal()).astype("<i2").tobytes()
    path = tmp_path / "pipe"
    path.write_bytes(run("sox", "-t", "raw", "-r", RATE, "-e", "signed", "-b", 16, "-", *kind, "-", stdin=raw))
    np.testing.assert_allclose(decode(path)[0], signal(), atol=2**-14)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_that_lacks_its_end_is_refused_with_both_lengths(tmp_path, ending, kept):
    path = plain(tmp_path, ending)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    for read in (decode, duration_s):
        with pytest.raises(AudioError, match=r"cut short: its header promises 1\.00 s, the file holds 0\.\d\d s"):
            read(path)


def test_a_nist_file_that_lacks_its_end_is_refused(tmp_path):
    path = written(tmp_path / "x.sph", format="NIST")
    assert len(decode(path)[0]) == RATE
    path.write_bytes(path.read_bytes()[:30_000])
    with pytest.raises(AudioError, match="cut short"):
        decode(path)


@pytest.mark.parametrize(
    "following",
    [
        b"LIST" + struct.pack("<I", 6_000) + bytes(range(200)) * 30,
        b"id3 " + struct.pack("<I", 5_000) + b"\x07" * 5_000,
        b"\0" * 9_000,
        b"TAG" + b"owl".ljust(125),
    ],
)
def test_chunks_tags_and_zeros_after_the_samples_are_no_audio(tmp_path, following):
    path = plain(tmp_path, "wav")
    path.write_bytes(path.read_bytes() + following)
    assert len(decode(path)[0]) == RATE


@pytest.mark.parametrize(
    ("ending", "how"),
    [
        ("wav", {"format": "WAV", "subtype": "GSM610"}),
        ("aiff", {"format": "AIFF", "subtype": "GSM610"}),
        ("w64", {"format": "W64", "subtype": "GSM610"}),
        ("au", {"format": "AU", "subtype": "G721_32"}),
        ("wav", {"format": "WAV", "subtype": "G721_32"}),
        ("wav", {"format": "WAV", "subtype": "NMS_ADPCM_32"}),
    ],
)
def test_files_that_cannot_be_searched_are_decoded_whole(tmp_path, ending, how):
    tone = 0.4 * np.sin(2 * np.pi * 300 * np.arange(8_000) / 8_000)
    path = tmp_path / f"x.{ending}"
    soundfile.write(path, tone, 8_000, **how)
    with soundfile.SoundFile(path) as file:
        assert not file.seekable()
    wave, rate = decode(path)
    assert rate == 8_000
    assert 8_000 <= len(wave) <= 8_640  # whole blocks
    assert np.corrcoef(wave[200:8_000], tone[200:])[0, 1] > 0.95
    assert len(decode(path, max_duration_s=0.5)[0]) == 4_000


@pytest.mark.parametrize(
    "command",
    [
        ["sox", "IN", "-r", 8_000, "-e", "gsm-full-rate", "OUT.wav"],
        ["sox", "IN", "-e", "ima-adpcm", "OUT.wav"],
        ["sox", "IN", "-e", "ms-adpcm", "OUT.wav"],
        ["sox", "IN", "OUT.voc"],
        ["sox", "IN", "-e", "a-law", "OUT.aifc"],
    ],
    ids=lambda c: " ".join(map(str, c)),
)
def test_soxs_compressed_files_equal_ffmpegs_decoding(tmp_path, command):
    source = plain(tmp_path, "wav")
    out = tmp_path / command[-1]
    run(*(source if part == "IN" else out if str(part).startswith("OUT") else part for part in command))
    wave, _ = decode(out)
    theirs = decoded_by_ffmpeg(out)
    assert abs(len(wave) - len(theirs)) <= 320  # one block of GSM 6.10
    np.testing.assert_allclose(wave[: len(theirs)], theirs[: len(wave)], atol=3e-3)


def test_eight_bits_are_decoded(tmp_path):
    path = written(tmp_path / "x.wav", subtype="PCM_U8")
    np.testing.assert_allclose(decode(path)[0], signal(), atol=2**-7)
