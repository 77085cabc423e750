"""Uncompressed containers (WAV, RF64, AIFF, AU, W64, CAF, NIST): the position of the audio, and its size in the header.

A recorder that was killed, or a program that wrote to a pipe, leaves a size of 0 or the largest number. A copy that was
interrupted leaves a size larger than the file. libsndfile treats the first as an empty file, and the second as a
shorter file.
"""

import io
import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from jfewshot.audio.base import MIN_DURATION_S, MOST_BYTES, Unusable, cut_short

# A 32-bit size of at least this means "not known when the header was written": 0xFFFFFFFF, 0x7FFFFFFF, SoX's
# 0x7F000000.
_UNKNOWN = 0x7EFF_0000
_BEFORE_DATA = 512  # chunks; a file with more is not a valid header
_W64_TAIL = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"  # of every GUID but the first one's
_AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}  # per sample, by encoding


@dataclass(frozen=True)
class Place:
    """Where a file's samples are.

    Attributes:
      start: first byte of the samples.
      promised: size in bytes from the header; None if the samples reach to the file's end.
      bytes_per_s: bytes per second of audio; 0 if the header does not give it.
      size_at: first byte of the field with their size.
      size_format: format of that field, as in `struct`.
      size_more: bytes that the field counts in addition to the samples.
      chunks: layout of chunks that may follow the samples; None if none may follow.
    """

    start: int
    promised: int | None
    bytes_per_s: float
    size_at: int
    size_format: str
    size_more: int = 0
    chunks: "Layout | None" = None


@dataclass(frozen=True)
class Layout:
    """How chunks follow one another: bytes of a name, `struct` of a size, whether it counts the header, and the alignment."""

    name_bytes: int
    size_format: str
    counts_header: bool
    alignment: int

    def read(self, file: io.BufferedIOBase, at: int) -> tuple[bytes, int, int] | None:
        """Name, start and size of the contents of the chunk at a byte; None if the file ends before."""
        file.seek(at)
        header = file.read(self.name_bytes + struct.calcsize(self.size_format))
        if len(header) < self.name_bytes + struct.calcsize(self.size_format):
            return None
        (size,) = struct.unpack(self.size_format, header[self.name_bytes :])
        return header[: self.name_bytes], at + len(header), size - (len(header) if self.counts_header else 0)

    def walk(self, file: io.BufferedIOBase, at: int) -> Iterator[tuple[bytes, int, int]]:
        """The chunks from a byte on; stops at a size below 0."""
        for _ in range(_BEFORE_DATA):
            chunk = self.read(file, at)
            if chunk is None:
                return
            yield chunk
            if chunk[2] < 0:
                return
            at = chunk[1] + math.ceil(chunk[2] / self.alignment) * self.alignment


_RIFF, _RIFX = Layout(4, "<I", False, 2), Layout(4, ">I", False, 2)
_W64, _CAF = Layout(16, "<q", True, 8), Layout(4, ">q", False, 1)


def with_true_size(file: io.BufferedIOBase) -> bytes | None:
    """The file with a header that has the true size of its audio; None if the decoder can read the file unchanged.

    Args:
      file: an open file of any kind; unknown kinds are left to the decoder.

    Raises:
      Unusable: if the file is shorter than its header states, or too large to be corrected.
    """
    place = place_of(file)
    size = file.seek(0, os.SEEK_END)
    if place is None or place.promised is None:
        return None
    held, promised = max(0, size - place.start), place.promised
    tolerated = max(1.0, MIN_DURATION_S * place.bytes_per_s)
    unknown = promised <= 0 or promised >= _UNKNOWN
    if promised > held:
        if unknown:
            return None if place.size_format != ">q" and place.size_format != "<Q" else _mended(file, size, place, held)
        if promised - held >= tolerated:
            rate = place.bytes_per_s or math.nan
            raise cut_short(promised / rate, held / rate)
        return None
    if held - max(0, promised) < tolerated or _ends_well(file, place, size):
        return None
    return _mended(file, size, place, held)


def place_of(file: io.BufferedIOBase) -> Place | None:
    """Find the samples of a file; None for unknown kinds of files, and for headers without samples.

    Args:
      file: open.
    """
    file.seek(0)
    head = file.read(24)
    if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == b"WAVE":
        return _wav(file, head[:4])
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(file)
    if head[:4] in (b".snd", b"dns.") and len(head) == 24:
        return _au(head)
    if head[:4] == b"riff" and head[4:16] == b"\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00":
        return _w64(file)
    if head[:4] == b"caff":
        return _caf(file)
    return _nist(file) if head[:7] == b"NIST_1A" else None


def _wav(file: io.BufferedIOBase, kind: bytes) -> Place | None:
    layout = _RIFX if kind == b"RIFX" else _RIFF
    end = layout.size_format[0]
    bytes_per_s, size_64_at = 0.0, None
    for name, start, size in layout.walk(file, 12):
        if name == b"ds64":
            size_64_at = start + 8
        elif name == b"fmt ":
            file.seek(start)
            tag, _, rate, average, block = struct.unpack(end + "HHIIH", file.read(14).ljust(14, b"\0"))
            bytes_per_s = float(rate * block if tag in (1, 3, 6, 7, 0xFFFE) else average)
        elif name == b"data":
            if kind == b"RF64" and size_64_at is not None and size >= _UNKNOWN:
                file.seek(size_64_at)
                (size,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
                return Place(start, size, bytes_per_s, size_64_at, "<Q", chunks=layout)
            return Place(start, size, bytes_per_s, start - 4, layout.size_format, chunks=layout)
    return None


def _aiff(file: io.BufferedIOBase) -> Place | None:
    bytes_per_s = 0.0
    for name, start, size in _RIFX.walk(file, 12):
        if name == b"COMM":
            file.seek(start)
            channels, _, bits, exponent, mantissa = struct.unpack(">HIHHQ", file.read(18).ljust(18, b"\0"))
            rate = math.ldexp(mantissa, (exponent & 0x7FFF) - 16383 - 63) if exponent < 16383 + 40 else 0.0
            bytes_per_s = rate * channels * -(-bits // 8)
        elif name == b"SSND":
            # Eight bytes of offset and block size come before the samples, and are counted.
            promised = size - 8 if size else 0
            return Place(start + 8, promised, bytes_per_s, start - 4, ">I", size_more=8, chunks=_RIFX)
    return None


def _au(head: bytes) -> Place:
    end = ">" if head[:4] == b".snd" else "<"
    start, size, encoding, rate, channels = struct.unpack(end + "5I", head[4:24])
    promised = None if size == 0xFFFF_FFFF else size
    return Place(start, promised, float(_AU_BYTES.get(encoding, 1) * rate * channels), 8, end + "I")


def _w64(file: io.BufferedIOBase) -> Place | None:
    bytes_per_s = 0.0
    for name, start, size in _W64.walk(file, 40):
        if name == b"fmt " + _W64_TAIL:
            file.seek(start + 8)
            bytes_per_s = float(struct.unpack("<I", file.read(4).ljust(4, b"\0"))[0])
        elif name == b"data" + _W64_TAIL:
            return Place(start, size, bytes_per_s, start - 8, "<q", size_more=24, chunks=_W64)
    return None


def _caf(file: io.BufferedIOBase) -> Place | None:
    bytes_per_s = 0.0
    for name, start, size in _CAF.walk(file, 8):
        if name == b"desc":
            file.seek(start)
            rate, _, _, packet, frames = struct.unpack(">d4sIII", file.read(24).ljust(24, b"\0"))
            usable = math.isfinite(rate) and 0 < rate < 1e9 and frames
            bytes_per_s = rate * packet / frames if usable else 0.0
        elif name == b"data":
            # Four bytes count edits. A size of -1 says that the samples reach to the end, which libsndfile does not know.
            return Place(
                start + 4, size - 4 if size > 0 else -1, bytes_per_s, start - 8, ">q", size_more=4, chunks=_CAF
            )
    return None


def _nist(file: io.BufferedIOBase) -> Place | None:
    file.seek(0)
    lines = file.read(1024).decode("latin-1").splitlines()
    fields = {parts[0]: parts[2] for line in lines if len(parts := line.split(None, 2)) == 3}
    try:
        start = int(lines[1])
        count, size = int(fields["sample_count"]), int(fields["sample_n_bytes"])
        channels, rate = int(fields.get("channel_count", 1)), int(fields["sample_rate"])
    except (IndexError, KeyError, ValueError):
        return None
    # The field is text, so a larger file cannot be corrected; its header is used.
    packed = fields.get("sample_coding", "pcm") not in ("pcm", "ulaw", "alaw")
    size_of_file = file.seek(0, os.SEEK_END)
    promised = count * size * channels
    return (
        None
        if packed or promised < size_of_file - start
        else Place(start, promised, float(rate * size * channels), 0, "")
    )


def _ends_well(file: io.BufferedIOBase, place: Place, size: int) -> bool:
    """Whether the samples are followed only by chunks, a tag or zeros, which are not audio."""
    at = place.start + max(0, place.promised or 0)
    file.seek(at)
    following = file.read(4096)
    if following.startswith((b"TAG", b"ID3", b"APETAGEX")) or not following.strip(b"\0"):
        return True
    if place.chunks is None:
        return False
    at = math.ceil(at / place.chunks.alignment) * place.chunks.alignment
    chunk = place.chunks.read(file, at)
    if chunk is None:
        return False
    name, start, length = chunk
    return all(32 <= byte < 127 for byte in name[:4]) and 0 <= length <= size - start + 1


def _mended(file: io.BufferedIOBase, size: int, place: Place, held: int) -> bytes:
    if size > MOST_BYTES or held + place.size_more >= 2 ** (8 * struct.calcsize(place.size_format) - 1):
        raise Unusable(
            f"its header tells a wrong size, and {size / 1e9:.1f} GB are too many to mend it: encode it again"
        )
    file.seek(0)
    data = bytearray(file.read())
    struct.pack_into(place.size_format, data, place.size_at, held + place.size_more)
    if place.size_format == "<Q":  # ds64: before it the total size, after it the number of frames
        struct.pack_into("<Q", data, place.size_at - 8, size - 8)
    return bytes(data)
