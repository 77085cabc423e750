"""FLAC and Ogg: unknown and wrong lengths, joined files, files that were cut."""

import numpy as np
import pytest

from jfewshot.audio import AudioError, decode, duration_s
from tests.audio.programs import RATE, decoded_by_ffmpeg, ffmpeg, run, signal, written


def promise(path, samples):
    """Write another length into a FLAC file: bytes 18 to 25 are 28 bits of rate, channels and depth, then 36 of length."""
    data = bytearray(path.read_bytes())
    start = data.index(b"fLaC")
    facts = int.from_bytes(data[start + 18 : start + 26], "big") >> 36 << 36 | samples
    data[start + 18 : start + 26] = facts.to_bytes(8, "big")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_S8"])
@pytest.mark.parametrize("samples", [0, 1, 20_000, 3 * RATE - 1])
def test_a_length_that_is_unknown_or_too_small_loses_nothing(tmp_path, samples, subtype):
    path = written(tmp_path / "x.flac", 3.0, subtype=subtype)
    whole, _ = decode(path)
    assert len(whole) == 3 * RATE
    np.testing.assert_array_equal(decode(promise(path, samples))[0], whole)
    assert duration_s(path) == 3.0


@pytest.mark.parametrize("samples", [3 * RATE + 600, 2**36 - 1])
def test_a_length_that_is_too_large_is_a_reason(tmp_path, samples):
    path = promise(written(tmp_path / "x.flac", 3.0), samples)
    for read in (decode, duration_s):
        with pytest.raises(AudioError, match=r"cut short: its header promises .* s, the file holds 3\.00 s"):
            read(path)


@pytest.mark.parametrize(
    "options",
    [
        ["-f", "flac"],
        ["-f", "flac", "-compression_level", "12"],
        ["-f", "flac", "-frame_size", "777"],
        ["-f", "flac", "-sample_fmt", "s32", "-ar", "96000"],
        ["-f", "flac", "-ac", "2"],
    ],
    ids=" ".join,
)
def test_what_ffmpeg_writes_into_a_pipe_is_whole(tmp_path, options):
    path = tmp_path / "pipe.flac"
    path.write_bytes(ffmpeg(written(tmp_path / "x.wav", 3.0), *options))
    wave, rate = decode(path)
    assert len(wave) == 3 * rate
    assert duration_s(path) == 3.0
    np.testing.assert_allclose(wave, decoded_by_ffmpeg(path, 2 if "-ac" in options else 1), atol=1e-6)


def test_a_flac_file_with_an_id3_tag_is_whole(tmp_path):
    path = promise(written(tmp_path / "x.flac", 3.0), 0)
    tag = b"ID3\x03\0\0\0\0\x02\x00" + b"\xff\xf8" * 128
    path.write_bytes(tag + path.read_bytes())
    np.testing.assert_allclose(decode(path)[0], signal(3.0), atol=2**-15)


@pytest.mark.parametrize("kept", [0.05, 0.4, 0.66, 0.97])
@pytest.mark.parametrize("program", ["libsndfile", "ffmpeg", "sox"])
def test_a_flac_file_that_was_cut_is_refused(tmp_path, kept, program):
    path = tmp_path / "x.flac"
    if program == "libsndfile":
        written(path, 3.0)
    else:
        command = {"ffmpeg": ["ffmpeg", "-v", "error", "-i"], "sox": ["sox"]}[program]
        run(*command, written(tmp_path / "x.wav", 3.0), path)
    assert len(decode(path)[0]) == 3 * RATE
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    for read in (decode, duration_s) if 0.3 < kept < 0.9 else (decode,):
        with pytest.raises(AudioError, match=r"cut short|cannot be decoded"):
            read(path)


@pytest.mark.parametrize("position", [0.3, 0.5, 0.8])
def test_a_flac_file_with_damage_inside_is_never_shortened(tmp_path, position):
    path = written(tmp_path / "x.flac", 3.0)
    data = bytearray(path.read_bytes())
    at = int(position * len(data))
    data[at : at + 3000] = bytes(3000)
    path.write_bytes(data)
    try:
        samples = len(decode(path)[0])
    except AudioError as error:
        samples = 3 * RATE if "cut short" in error.reason or "cannot be decoded" in error.reason else 0
    assert samples == 3 * RATE


@pytest.mark.parametrize(
    ("ending", "how"),
    [
        ("flac", {}),
        ("ogg", {"format": "OGG", "subtype": "VORBIS"}),
        ("opus", {"format": "OGG", "subtype": "OPUS"}),
        ("ogg", {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.9}),
    ],
)
@pytest.mark.parametrize("seconds", [(1.0, 1.0), (0.5, 2.0, 1.0)])
def test_joined_files_are_decoded_one_after_the_other(tmp_path, ending, how, seconds):
    rate = 24_000 if ending == "opus" else RATE
    parts = [written(tmp_path / f"{i}.{ending}", each, rate, **how) for i, each in enumerate(seconds)]
    path = tmp_path / f"joined.{ending}"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    wave, _ = decode(path)
    np.testing.assert_array_equal(wave, np.concatenate([decode(part)[0] for part in parts]))
    assert len(wave) == round(sum(seconds) * rate)
    assert duration_s(path) == pytest.approx(sum(seconds))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    "options", [["x.ogg"], ["-c:a", "libopus", "-ar", "48000", "x.opus"], ["-c:a", "libvorbis", "x.oga"]], ids=" ".join
)
def test_an_ogg_file_that_was_cut_is_refused(tmp_path, kept, options):
    path = tmp_path / options[-1]
    run("ffmpeg", "-v", "error", "-i", written(tmp_path / "x.wav", 3.0), *options[:-1], path)
    assert len(decode(path)[0]) / decode(path)[1] == pytest.approx(3.0, abs=0.05)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    for read in (decode, duration_s):
        with pytest.raises(AudioError, match="cut short"):
            read(path)


def test_an_ogg_file_without_its_last_pages_is_taken_for_what_it_is(tmp_path):
    path = written(tmp_path / "x.ogg", 20.0, format="OGG", subtype="VORBIS")
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"OggS")])  # as a recorder leaves it that was killed between two pages
    wave, rate = decode(path)
    assert 5 < len(wave) / rate < 20
    assert duration_s(path) == len(wave) / rate
