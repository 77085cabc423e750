"""MP3: count the frames of a file, and give the decoder a header with this number.

libsndfile computes an MP3's length from the first Xing header, or from the bit rate of the first frames if there is
none, and decodes only this length. So it loses the end of a file of variable bit rate without a Xing header, and of
joined files. This file reads all frame headers from the first to the last; each part gets a Xing header with the true
number. Frame headers: ISO/IEC 11172-3, section 2.4.1.3; Xing header: Xing's "VBR header SDK" of 1998, as LAME writes
it.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

from jfewshot.audio.base import Unusable, cut_short

# kbit/s by (is MPEG 1, layer) and index. MPEG 2 and 2.5 have the same table, and so have layers II and III of MPEG 2.
_LAYER_2_OF_MPEG_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BITRATES = {
    (True, 1): tuple(range(0, 449, 32)),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _LAYER_2_OF_MPEG_2,
    (False, 3): _LAYER_2_OF_MPEG_2,
}
_RATES = (44_100, 48_000, 32_000)
# So many frames may be missing: some encoders count the frame of the header, and some their last, unfinished frame.
_FRAMES_MISCOUNTED = 2
# libsndfile recognises some MP3s only by their file name, or by a non-empty ID3 tag, which here has ten bytes of
# padding.
_TAG = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)


class Frame(NamedTuple):
    """The contents of a frame's four header bytes."""

    length: int
    """Bytes, header included."""
    samples: int
    rate: int
    channels: int
    layer: int
    mpeg_1: bool

    @property
    def kind(self) -> tuple[int, int, int, bool]:
        """The properties that cannot change within one stream."""
        return self.rate, self.channels, self.layer, self.mpeg_1

    @property
    def tag_at(self) -> int:
        """Bytes from the frame's begin to a Xing header: behind the header and the side information."""
        return 4 + ((32 if self.channels == 2 else 17) if self.mpeg_1 else (17 if self.channels == 2 else 9))


@dataclass
class Part:
    """Frames of one kind after one another, with at most one Xing header at their begin."""

    start: int
    frame: Frame
    header: int
    """The first frame's four bytes."""
    tag: int | None
    """Where the Xing header is in the file."""
    audio_start: int
    """Where the first frame with audio is."""
    promised: int | None
    n_frames: int = 0
    end: int = 0
    varies: bool = False
    """Whether its frames have several bit rates."""


def mp3_pieces(data: bytes, *, as_it_is: bool) -> list[bytes | None]:
    """The parts of a file, each with a header with its true length; [None] if the file can be decoded unchanged.

    Args:
      data: the whole file.
      as_it_is: whether the decoder can be given the file itself, by a name that ends in `.mp3`.

    Raises:
      Unusable: if a part has fewer frames than its header states, or is of layer I or II with variable bit rate.
    """
    parts = [part for part in walk(data) if part.n_frames]
    pieces: list[bytes | None] = []
    for part in parts:
        if part.promised is not None and part.promised - part.n_frames > _FRAMES_MISCOUNTED:
            seconds = part.frame.samples / part.frame.rate
            raise cut_short(part.promised * seconds, part.n_frames * seconds)
        if part.frame.layer != 3 and part.varies:
            raise Unusable(
                f"MPEG layer {part.frame.layer} of variable bit rate, whose length libsndfile mistakes: encode it"
            )
        piece = _piece(data, part)
        alone = as_it_is and len(parts) == 1
        pieces.append(None if piece is None and alone else _TAG + (piece or data[part.start : part.end]))
    return pieces or [None]


def walk(data: bytes) -> list[Part]:
    """Every part of a file; tags and bytes that belong to no frame are skipped.

    Args:
      data: the whole file.
    """
    parts: list[Part] = []
    position, in_step = 0, False
    while position + 4 <= len(data):
        header = int.from_bytes(data[position : position + 4], "big")
        frame = frame_of(header)
        if frame is None or not (in_step or _is_followed(data, position, frame)):
            position, in_step = _next_candidate(data, position), False
            continue
        end = position + frame.length
        if end > len(data):
            break  # the last frame is incomplete
        in_step = True
        tag, promised = _tag(data, position, frame)
        if tag is not None or promised is not None or not parts or parts[-1].frame.kind != frame.kind:
            is_tag = tag is not None or promised is not None
            parts.append(Part(position, frame, header, tag, end if is_tag else position, promised, 0 if is_tag else 1))
        else:
            parts[-1].n_frames += 1
            parts[-1].varies |= (header ^ parts[-1].header) & 0xF000 != 0
        parts[-1].end = position = end
    return parts


@functools.lru_cache(maxsize=4096)
def frame_of(header: int) -> Frame | None:
    """Parse a frame's header of four bytes; None if they are not a header (or of free bit rate, whose length is unknown).

    Args:
      header: the four bytes, the first one highest.
    """
    version, layer, bitrate_index, rate_index = (
        (header >> 19) & 3,
        4 - ((header >> 17) & 3),
        (header >> 12) & 15,
        (header >> 10) & 3,
    )
    if header >> 21 != 0x7FF or version == 1 or layer == 4 or bitrate_index in (0, 15) or rate_index == 3:
        return None
    mpeg_1 = version == 3
    rate = _RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    bits = 1000 * _BITRATES[mpeg_1, layer][bitrate_index]
    padding = (header >> 9) & 1
    samples = 384 if layer == 1 else 1152 if layer == 2 or mpeg_1 else 576
    length = (12 * bits // rate + padding) * 4 if layer == 1 else samples // 8 * bits // rate + padding
    return Frame(length, samples, rate, 1 if (header >> 6) & 3 == 3 else 2, layer, mpeg_1)


def _is_followed(data: bytes, position: int, frame: Frame) -> bool:
    """Whether another frame of this kind, a tag or the file's end follows, since four bytes may look like a header by chance."""
    after = position + frame.length
    if after >= len(data):
        return after == len(data)
    following = frame_of(int.from_bytes(data[after : after + 4], "big")) if after + 4 <= len(data) else None
    if following is not None:
        return following.kind == frame.kind
    return data[after : after + 3] in (b"TAG", b"ID3") or data[after : after + 8] == b"APETAGEX"


def _next_candidate(data: bytes, position: int) -> int:
    """Where to look next: behind a tag (ID3, APE), or at the next byte that may begin a frame or a tag."""
    if data[position : position + 3] == b"ID3" and position + 10 <= len(data):
        size = 0
        for byte in data[position + 6 : position + 10]:
            size = size << 7 | byte & 0x7F
        return position + 10 + size + (10 if data[position + 5] & 0x10 else 0)
    if data[position : position + 3] == b"TAG":
        return position + 128
    if data[position : position + 8] == b"APETAGEX" and position + 16 <= len(data):
        return position + 32 + int.from_bytes(data[position + 12 : position + 16], "little")
    found = [at for at in (data.find(mark, position + 1) for mark in (b"\xff", b"ID3")) if at >= 0]
    return min(found, default=len(data))


def _tag(data: bytes, position: int, frame: Frame) -> tuple[int | None, int | None]:
    """Where a Xing header is in a frame, if it is one, and the count of frames that it (or a VBRI header) promises."""
    if frame.layer != 3:
        return None, None
    for tag in (position + frame.tag_at, position + frame.tag_at + 2):  # with a checksum, two bytes later
        if data[tag : tag + 4] in (b"Xing", b"Info"):
            has_count = data[tag + 7] & 1 if tag + 12 <= len(data) else 0
            return tag, int.from_bytes(data[tag + 8 : tag + 12], "big") if has_count else None
    if data[position + 36 : position + 40] == b"VBRI":
        return None, int.from_bytes(data[position + 50 : position + 54], "big")
    return None, None


def _piece(data: bytes, part: Part) -> bytes | None:
    """A part with a header with its number of frames; None if its own header has it, or if none can have it (layers I and II)."""
    if part.frame.layer != 3 or part.promised == part.n_frames:
        return None
    if part.tag is None or part.promised is None:
        audio = data[part.audio_start : part.end]
        return _xing_frame(part.header, part.n_frames, len(audio)) + audio
    mended = bytearray(data[part.start : part.end])
    tag = part.tag - part.start
    mended[tag + 8 : tag + 12] = part.n_frames.to_bytes(4, "big")
    if mended[tag + 7] & 2:
        mended[tag + 12 : tag + 16] = len(mended).to_bytes(4, "big")
    return bytes(mended)


def _xing_frame(header: int, n_frames: int, n_bytes: int) -> bytes:
    """A frame without audio that tells how many follow, of the kind that `header` begins."""
    for bitrate_index in range(1, 15):
        silent = header & ~(0xF << 12 | 1 << 9) | bitrate_index << 12 | 1 << 16  # no padding, no checksum
        frame = frame_of(silent)
        if frame is not None and frame.length >= frame.tag_at + 16:
            break
    assert frame is not None  # every kind has a bit rate of more than 52 bytes a frame
    tag = b"Xing" + (3).to_bytes(4, "big") + n_frames.to_bytes(4, "big") + (n_bytes + frame.length).to_bytes(4, "big")
    return (silent.to_bytes(4, "big").ljust(frame.tag_at, b"\0") + tag).ljust(frame.length, b"\0")
