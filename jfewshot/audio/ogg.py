"""Ogg (Vorbis, Opus, FLAC): joined streams, and files that were cut. Format: RFC 3533, section 6."""

from jfewshot.audio.base import Unusable

_HEADER = 27  # bytes, before the table of segments
_FIRST_PAGE = 2  # flag


def ogg_pieces(data: bytes) -> list[bytes | None]:
    """The consecutive streams of a file, of which libsndfile would read only the first; [None] if there is only one.

    Args:
      data: the whole file.

    Raises:
      Unusable: the last page is not whole.
    """
    starts, position, before_was_first = [], 0, False
    while (position := data.find(b"OggS", position)) >= 0:
        header = data[position : position + _HEADER]
        end = position + _HEADER
        if len(header) == _HEADER:
            table = data[end : end + header[26]]
            end += header[26] + sum(table)
        if len(header) < _HEADER or end > len(data):
            raise Unusable("cut short: its last page is not whole; copy, download or encode it again")
        # The streams of one recording (sound and pictures) begin together, so only a first page after other pages
        # begins a new recording.
        is_first = bool(header[5] & _FIRST_PAGE)
        if is_first and not before_was_first:
            starts.append(position)
        before_was_first, position = is_first, end
    if len(starts) < 2:
        return [None]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]
