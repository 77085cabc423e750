"""FLAC: find the true length from the last frame, since the header's length may be unknown (0, written to a pipe) or wrong.

Format: RFC 9639, sections 8.2 (STREAMINFO) and 9.1 (frame header).
"""

from typing import NamedTuple

from jfewshot.audio.base import MIN_DURATION_S, Unusable, cut_short

_MARK = b"fLaC\x00\x00\x00\x22"  # the first metadata block is STREAMINFO, 34 bytes long
_LENGTH_BITS = 36


def flac_pieces(data: bytes) -> list[bytes | None]:
    """The streams of a file, each with its true length in the header; [None] where the file can be decoded as it is.

    Args:
      data: the whole file, perhaps with an ID3 tag before the stream.

    Raises:
      Unusable: if a stream is shorter than its header states.
    """
    starts = []
    position = data.find(b"fLaC")
    while position >= 0:
        starts.append(position)
        position = data.find(_MARK, position + 4)
    pieces: list[bytes | None] = []
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        piece = _with_true_length(data[start:end])
        pieces.append(piece if piece is not None or len(starts) == 1 else data[start:end])
    return pieces or [None]


def _with_true_length(data: bytes) -> bytes | None:
    """The stream with its true length, or None where its header is right (or cannot be compared)."""
    if len(data) < 42 or not data.startswith(_MARK[:4]):
        raise Unusable("cut short: not even its header is whole; copy or download it again")
    facts = int.from_bytes(data[18:26], "big")
    rate, promised = facts >> 44, facts & (1 << _LENGTH_BITS) - 1
    last = last_frame(data)
    if last is None or rate == 0 or last.end == promised:
        return None
    held = last.end if _is_whole(data, last) else last.first
    if promised and promised - held >= max(1, MIN_DURATION_S * rate):
        raise cut_short(promised / rate, held / rate)
    mended = facts >> _LENGTH_BITS << _LENGTH_BITS | held
    return data[:18] + mended.to_bytes(8, "big") + data[26:]


class Last(NamedTuple):
    """A stream's last frame: where it begins in bytes, its first sample, and the sample after its last one."""

    position: int
    first: int
    end: int


def last_frame(data: bytes) -> Last | None:
    """The last frame whose header is there, perhaps not whole; None if no frame is found.

    Args:
      data: one stream, which begins with `fLaC`.
    """
    block = int.from_bytes(data[8:10], "big")
    largest = int.from_bytes(data[15:18], "big") or 2**17
    found: list[Last] = []
    position = data.find(b"\xff", max(42, len(data) - max(2**16, 3 * largest)))
    while position >= 0:
        frame = _frame(data[position : position + 16], block)
        if frame is not None:
            found.append(Last(position, frame[0], sum(frame)))
        position = data.find(b"\xff", position + 1)
    # Two bytes and a checksum of eight bits may match by chance, so a frame counts only if another frame ends where it
    # begins.
    ends = {frame.end for frame in found} | {0}
    return next((frame for frame in reversed(found) if frame.first in ends), None)


def _is_whole(data: bytes, frame: Last) -> bool:
    """Whether a frame's checksum is right, or cannot be known since a tag follows the frame."""
    if data[-128:-125] == b"TAG":
        return True
    return _checksum_16(data[frame.position : -2]) == int.from_bytes(data[-2:], "big")


def _frame(header: bytes, stream_block: int) -> tuple[int, int] | None:
    """First sample and number of samples from a frame's header; None if the bytes are not a header."""
    if len(header) < 6 or header[1] & 0xFE != 0xF8 or header[3] & 1:
        return None
    size_code, rate_code = header[2] >> 4, header[2] & 15
    if size_code == 0 or rate_code == 15 or header[3] >> 4 > 10:
        return None
    lead = header[4]
    more = 0 if lead < 0x80 else 8 - (~lead & 0xFF).bit_length() - 1
    if more < 0 or more > 6 or (lead >= 0x80 and more == 0):
        return None
    number = lead if more == 0 else lead & (1 << max(0, 6 - more)) - 1
    for byte in header[5 : 5 + more]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    at = 5 + more
    extra = {6: 1, 7: 2}.get(size_code, 0)
    count = int.from_bytes(header[at : at + extra], "big") + 1 if extra else _BLOCKS[size_code]
    at += extra + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if at >= len(header) or _checksum_8(header[:at]) != header[at]:
        return None
    variable = header[1] & 1
    return (number if variable else number * stream_block), count


_BLOCKS = [0, 192, *(576 << n for n in range(4)), 0, 0, *(256 << n for n in range(8))]


def _checksum_8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07) & 0xFF if value & 0x80 else value << 1
    return value


def _table_16() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x8005) & 0xFFFF if value & 0x8000 else value << 1
        table.append(value)
    return table


_TABLE_16 = _table_16()


def _checksum_16(data: bytes) -> int:
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFF) ^ _TABLE_16[value >> 8 ^ byte]
    return value
