"""The recordings to label, the windows of each recording, and the pieces in which long recordings are decoded."""

import concurrent.futures
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Float32
from numpy import ndarray

from jfewshot.audio import (
    AUDIO_SUFFIXES,
    MIN_DURATION_S,
    AudioError,
    Stretch,
    duration_s,
    is_unread,
    sound_below,
    why_not_read,
)
from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError

_READERS = 16
# Seconds of a long recording that are decoded at a time.
PIECE_S = 600.0
# Formats in which a decoder must read all samples before the wanted one; such recordings are cut into few pieces.
_SEQUENTIAL = (".mp3", ".ogg", ".opus", ".oga")
_SEQUENTIAL_PIECE_S = 3600.0
# A piece begins this many seconds before its first window, so that the resampler has no more transient there.
_LEAD_S = 1.0
BLOCK_S, _BLOCK_PIECES = 640.0, 128


@dataclasses.dataclass(frozen=True)
class Source:
    """A recording to label.

    Attributes:
      name: the path relative to the given folder, or the path as given.
      path: the file.
      duration_s: duration according to the file's header, in seconds.
    """

    name: str
    path: Path
    duration_s: float


@dataclasses.dataclass(frozen=True)
class Windows:
    """Length and hop of the windows into which recordings are cut.

    Attributes:
      window_s: length of a window in seconds; None for the whole recording.
      hop_s: time from the beginning of one window to that of the next, in seconds; None for the whole recording.
    """

    window_s: float | None
    hop_s: float | None

    def count(self, duration_s: float) -> int:
        """Number of windows of a recording. The last one reaches its end, unless it would add less than 25 ms."""
        if self.window_s is None or self.hop_s is None or duration_s <= self.window_s:
            return 1
        beyond = duration_s - self.window_s
        count = math.floor(beyond / self.hop_s) + 1
        return count + (beyond - (count - 1) * self.hop_s >= MIN_DURATION_S)

    def times(self, number: int, duration_s: float) -> tuple[float, float]:
        """Beginning and end of a window in seconds.

        Args:
          number: number of the window, from 0.
          duration_s: duration of the recording in seconds.
        """
        if self.window_s is None or self.hop_s is None:
            return 0.0, duration_s
        start = number * self.hop_s
        return start, min(start + self.window_s, duration_s)


@dataclasses.dataclass(frozen=True)
class Piece:
    """Some windows of one recording that are decoded together.

    Attributes:
      recording: number of the recording.
      first: number of the first window.
      count: number of windows.
      audio: the file or stretch to decode.
      start_s: beginning of the piece in the recording, in seconds.
    """

    recording: int
    first: int
    count: int
    audio: Path | Stretch
    start_s: float


def find_sources(paths: Sequence[Path], on_error: str) -> tuple[list[Source], list[tuple[str, str]]]:
    """Find recordings and read their lengths.

    Args:
      paths: audio files, and folders that contain audio files, also in subfolders.
      on_error: `stop` or `skip`.

    Returns:
      the recordings in the order of their names, and name and reason of each recording that cannot be read.

    Raises:
      UserError: if a path does not exist, if a folder has no audio, or, with `stop`, if a file cannot be read.
    """
    named: dict[str, Path] = {}
    for given in paths:
        path = given.expanduser()
        if path.is_dir():
            below = sound_below(path)
            if not below:
                raise UserError(
                    f"{path} holds no audio; give audio files ({', '.join(sorted(AUDIO_SUFFIXES))}) or their folder"
                )
            inside = {(one.relative_to(path) if len(paths) == 1 else one).as_posix(): one for one in below}
        elif path.exists():
            inside = {(Path(path.name) if len(paths) == 1 else path).as_posix(): path}
        else:
            raise UserError(f"{path} does not exist; give audio files, or a folder with audio files")
        named |= inside
    names = sorted(named)
    with (
        Progress("reading lengths", len(names), "recordings") as bar,
        concurrent.futures.ThreadPoolExecutor(_READERS) as readers,
    ):
        found: list[Source] = []
        unread: list[tuple[str, str]] = []
        for name, (length, reason) in zip(names, readers.map(_length, (named[name] for name in names)), strict=True):
            bar.advance()
            if not reason:
                found.append(Source(name, named[name], length))
            elif on_error == "stop":
                raise UserError(
                    f"{named[name]}: {reason}. Mend or remove it, or pass --on-error skip to leave such files out"
                )
            else:
                unread.append((name, reason))
    if not found:
        raise UserError(f"none of {len(names)} files can be read; the first: {unread[0][0]}: {unread[0][1]}")
    return found, unread


def _length(path: Path) -> tuple[float, str]:
    """Duration in seconds, and the reason why the file cannot be read; the reason is empty if the file can be read."""
    if is_unread(path):
        return 0.0, why_not_read(path)
    try:
        length = duration_s(path)
    except AudioError as error:
        return 0.0, error.reason
    if length < MIN_DURATION_S:
        return 0.0, f"too short: {1000 * length:.0f} ms, less than {1000 * MIN_DURATION_S:.0f} ms"
    return length, ""


def pieces_of(sources: Sequence[Source], windows: Windows) -> list[Piece]:
    """Cut all recordings into pieces. Each window of each recording is in exactly one piece.

    Args:
      sources: the recordings.
      windows: length and hop of the windows.

    Returns:
      the pieces, in the order of recordings and windows.
    """
    pieces = []
    for number, source in enumerate(sources):
        total = windows.count(source.duration_s)
        most_s = _SEQUENTIAL_PIECE_S if source.path.suffix.lower() in _SEQUENTIAL else PIECE_S
        per_piece = total if windows.hop_s is None else max(1, int(most_s / windows.hop_s))
        for first in range(0, total, per_piece):
            count = min(per_piece, total - first)
            if count == total:
                pieces.append(Piece(number, first, count, source.path, 0.0))
                continue
            start_s = max(0.0, windows.times(first, source.duration_s)[0] - _LEAD_S)
            end_s = min(source.duration_s, windows.times(first + count - 1, source.duration_s)[1] + _LEAD_S)
            pieces.append(Piece(number, first, count, Stretch(source.path, start_s, end_s), start_s))
    return pieces


def blocks_of(pieces: Sequence[Piece], sources: Sequence[Source], windows: Windows) -> list[list[Piece]]:
    """Group pieces into blocks of about ten minutes of audio. The pieces of a block are scored together, and an interruption
    loses at most one block.

    Args:
      pieces: pieces from `pieces_of`.
      sources: the recordings.
      windows: length and hop of the windows.

    Returns:
      the blocks; the pieces keep their order.
    """
    blocks: list[list[Piece]] = []
    held = math.inf
    for piece in pieces:
        length = sources[piece.recording].duration_s if windows.hop_s is None else piece.count * windows.hop_s
        if held + length > BLOCK_S or len(blocks[-1]) >= _BLOCK_PIECES:
            blocks.append([])
            held = 0.0
        blocks[-1].append(piece)
        held += length
    return blocks


def waves_of(
    piece: Piece, wave: Float32[ndarray, " samples"], rate: int, windows: Windows, duration_s: float
) -> list[Float32[ndarray, " samples"]]:
    """Cut a piece into its windows.

    Args:
      piece: the piece.
      wave: its decoded samples.
      rate: sample rate of the wave in Hz.
      windows: length and hop of the windows.
      duration_s: duration of the recording in seconds.

    Returns:
      the samples of each window; the last one of a recording may be shorter.
    """
    if windows.window_s is None or (piece.count == 1 and duration_s <= windows.window_s):
        return [wave]
    length = round(windows.window_s * rate)
    starts = [
        round((windows.times(piece.first + number, duration_s)[0] - piece.start_s) * rate)
        for number in range(piece.count)
    ]
    return [wave[start : start + length] for start in starts]
