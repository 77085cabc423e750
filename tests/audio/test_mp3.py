"""MP3: all frames of a file are decoded, whatever its header says; ffmpeg, which reads on to the end, is the reference."""

import numpy as np
import pytest
import soundfile

from jfewshot.audio import AudioError, decode, duration_s
from jfewshot.audio.mp3 import frame_of, walk
from tests.audio.programs import decoded_by_ffmpeg, ffmpeg, run, written

# libmpg123 leaves out a decoder's delay where no LAME header tells more; ffmpeg keeps it.
DELAY = 529


def without_xing(path):
    """A file of the encoder within libsndfile, its first frame (the Xing header) taken away."""
    data = path.read_bytes()
    (part,) = walk(data)
    assert part.tag is not None
    path.write_bytes(data[part.audio_start :])


def stripped(folder):
    path = written(folder / "x.mp3", 2.0, bitrate_mode="VARIABLE", compression_level=0.2)
    without_xing(path)
    return path


def by_lame(*options, rate=22_050):
    def make(folder):
        source = written(folder / "x.wav", 2.0, rate)
        run("lame", "--quiet", "-t", *options, source, folder / "x.mp3")
        return folder / "x.mp3"

    return make


def by_ffmpeg(*options):
    def make(folder):
        source = written(folder / "x.wav", 2.0)
        (folder / "x.mp3").write_bytes(ffmpeg(source, "-write_xing", "0", *options, "-f", "mp3"))
        return folder / "x.mp3"

    return make


UNTAGGED = {
    "libsndfile's, its header taken away": stripped,
    "lame, variable": by_lame("-V", "2"),
    "lame, variable, checksums": by_lame("-V", "4", "-p", "--resample", "48"),
    "lame, average": by_lame("--abr", "96", "--resample", "44.1"),
    "lame, constant": by_lame("-b", "64"),
    "ffmpeg, 16 kHz, two channels": by_ffmpeg("-ar", "16000", "-ac", "2", "-q:a", "2"),
    "ffmpeg, 8 kHz (MPEG 2.5)": by_ffmpeg("-ar", "8000", "-q:a", "3"),
    "ffmpeg, two ID3 tags": by_ffmpeg(
        "-q:a", "2", "-metadata", "title=owl", "-id3v2_version", "4", "-write_id3v1", "1"
    ),
}


@pytest.mark.parametrize("make", UNTAGGED.values(), ids=UNTAGGED)
def test_without_a_xing_header_every_frame_is_decoded(tmp_path, make):
    path = make(tmp_path)
    wave, rate = decode(path)
    assert duration_s(path) == len(wave) / rate
    assert 2.0 < len(wave) / rate < 2.3
    theirs = decoded_by_ffmpeg(path, soundfile.info(path).channels)
    assert len(wave) == len(theirs) - DELAY
    np.testing.assert_allclose(wave, theirs[DELAY:], atol=2e-3)


def test_without_a_xing_header_the_same_samples_come_as_with_one(tmp_path):
    path = written(tmp_path / "x.mp3", 2.0, bitrate_mode="VARIABLE", compression_level=0.2)
    whole, _ = decode(path)
    assert len(whole) == 2 * 22_050  # the LAME header tells the encoder's delay and padding, too
    without_xing(path)
    wave, _ = decode(path)
    delay = 576  # the encoder's, as LAME's header tells
    np.testing.assert_allclose(wave[delay : delay + len(whole)], whole, atol=1e-5)


def joined(path, *parts):
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("seconds", [(1.0, 1.0), (0.5, 2.0), (1.0, 0.5, 1.5)])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE", "AVERAGE"])
def test_joined_files_are_decoded_one_after_the_other(tmp_path, seconds, mode):
    parts = [written(tmp_path / f"{i}.mp3", each, bitrate_mode=mode) for i, each in enumerate(seconds)]
    path = joined(tmp_path / "joined.mp3", *parts)
    wave, rate = decode(path)
    np.testing.assert_array_equal(wave, np.concatenate([decode(part)[0] for part in parts]))
    assert len(wave) == round(sum(seconds) * rate)
    assert duration_s(path) == pytest.approx(sum(seconds))
    early, _ = decode(path, max_duration_s=seconds[0] + 0.2)
    np.testing.assert_array_equal(early, wave[: round((seconds[0] + 0.2) * rate)])


@pytest.mark.parametrize("make", [stripped, by_lame("-V", "2"), by_ffmpeg("-q:a", "2", "-write_id3v1", "1")])
def test_joined_files_without_xing_headers_are_decoded_to_the_end(tmp_path, make):
    one = make(tmp_path)
    path = joined(tmp_path / "joined.mp3", one, one)
    (part,) = walk(path.read_bytes())
    assert part.n_frames == 2 * walk(one.read_bytes())[0].n_frames
    assert len(decode(path)[0]) == part.n_frames * 576 - DELAY
    assert len(decode(path)[0]) >= len(decoded_by_ffmpeg(path)) - DELAY


@pytest.mark.parametrize(("first", "second"), [("with", "without"), ("without", "with")])
def test_a_tagged_and_an_untagged_file_joined_are_decoded_to_the_end(tmp_path, first, second):
    files = {"with": written(tmp_path / "with.mp3", 1.0), "without": stripped(tmp_path)}
    wave, rate = decode(joined(tmp_path / "joined.mp3", files[first], files[second]))
    assert len(wave) / rate == pytest.approx(3.0, abs=0.12)


def test_parts_of_several_rates_are_refused_by_name(tmp_path):
    parts = [written(tmp_path / f"{rate}.mp3", 1.0, rate) for rate in (16_000, 22_050)]
    with pytest.raises(AudioError, match="joined of parts at 16000 and 22050 Hz"):
        decode(joined(tmp_path / "joined.mp3", *parts))


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: written(folder / "x.mp3", 2.0, bitrate_mode="VARIABLE"),
        lambda folder: written(folder / "x.mp3", 2.0, bitrate_mode="CONSTANT"),
        lambda folder: run("lame", "--quiet", "-V", "2", written(folder / "x.wav", 2.0), folder / "x.mp3"),
        lambda folder: (folder / "x.mp3").write_bytes(ffmpeg(written(folder / "x.wav", 2.0), "-f", "mp3")),
    ],
)
def test_a_file_that_lacks_frames_is_refused_with_both_lengths(tmp_path, make):
    make(tmp_path)
    path = tmp_path / "x.mp3"
    data = path.read_bytes()
    (part,) = walk(data)
    if part.promised is None:  # as ffmpeg writes it into a pipe
        pytest.skip("the header tells no count of frames")
    path.write_bytes(data[: len(data) * 6 // 10])
    for read in (decode, duration_s):
        with pytest.raises(
            AudioError, match=r"x\.mp3: cut short: its header promises 2\.\d+ s, the file holds [01]\.\d+ s"
        ):
            read(path)


def test_a_count_of_frames_that_is_too_small_is_mended(tmp_path):
    path = written(tmp_path / "x.mp3", 2.0, bitrate_mode="VARIABLE")
    whole, rate = decode(path)
    data = bytearray(path.read_bytes())
    (part,) = walk(bytes(data))
    data[part.tag + 8 : part.tag + 12] = (part.n_frames // 3).to_bytes(4, "big")
    path.write_bytes(data)
    assert soundfile.info(path).frames < 0.4 * len(whole)
    wave, _ = decode(path)
    np.testing.assert_allclose(wave[: len(whole)], whole, atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100])
def test_mp3_under_another_name_or_in_memory_is_known(tmp_path, rate):
    whole, _ = decode(written(tmp_path / "x.mp3", 1.0, rate))
    content = (tmp_path / "x.mp3").read_bytes()
    (tmp_path / "x.wav").write_bytes(content)
    np.testing.assert_array_equal(decode(tmp_path / "x.wav")[0], whole)
    np.testing.assert_array_equal(decode("a cell of a table", content=content)[0], whole)
    assert duration_s(tmp_path / "x.wav") == 1.0


@pytest.mark.parametrize(
    ("header", "length", "samples", "rate", "channels"),
    [
        # Worked out by hand: 144 * 128,000 / 44,100 = 417.96; 72 * 8,000 / 16,000 = 36; 12 * 448,000 / 48,000 * 4 = 448;
        # 144 * 192,000 / 32,000 = 864, and one of padding; 72 * 64,000 / 8,000 = 576.
        (0xFFFB9000, 417, 1152, 44_100, 2),
        (0xFFF318C0, 36, 576, 16_000, 1),
        (0xFFFFE400, 448, 384, 48_000, 2),
        (0xFFFDAA00, 865, 1152, 32_000, 2),
        (0xFFE388C4, 576, 576, 8_000, 1),
    ],
)
def test_a_frames_header_is_read_as_the_standard_has_it(header, length, samples, rate, channels):
    frame = frame_of(header)
    assert (frame.length, frame.samples, frame.rate, frame.channels) == (length, samples, rate, channels)


@pytest.mark.parametrize("header", [0xFFEB9000, 0xFFF99000, 0xFFFBF000, 0xFFFB0000, 0xFFFB9C00, 0xFF0B9000])
def test_what_the_standard_reserves_is_no_header(header):
    assert frame_of(header) is None
