"""Finds the utterances of a folder, a manifest, or LibriSpeech as published."""

import concurrent.futures
import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jfewshot.audio import AUDIO_SUFFIXES, AudioError, duration_s, is_unread, sound_below, why_not_read
from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json
from jfewshot.files.tables import read_table, refuse_nested, require_columns

log = logging.getLogger(__name__)

_READERS = 16

# Files of LibriSpeech are <speaker>/<chapter>/<speaker>-<chapter>-<number>.flac.
_LIBRISPEECH = re.compile(r"(\d+)-(\d+)-\d{4,}\.flac")


@dataclass(frozen=True)
class Utterance:
    """One recording.

    Args:
      path: the audio file.
      name: its path below the source, for digests and messages.
      speaker: its speaker; empty if unknown.
      duration_s: its true length in seconds, or the length in the manifest.
    """

    path: Path
    name: str
    speaker: str
    duration_s: float


def read_utterances(
    source: Path, shortest_s: float, lengths: Mapping[str, tuple[float, int, int]] | None = None, may_lack: bool = False
) -> list[Utterance]:
    """Find all usable utterances, sorted by name. Recordings that are left out are counted and logged with reasons.

    Every file is read once to find its true length, because headers may be wrong.

    Args:
      source: a `.csv` or `.jsonl` manifest with `path` (relative to the manifest's folder, or absolute) and if known
        `speaker` and `duration_s`; or a folder, searched recursively. Speakers are known in a folder with LibriSpeech's
        layout, and unknown in any other folder.
      shortest_s: shorter utterances are left out.
      lengths: seconds, bytes and time of the last change (ns) of files that were read before, by name; files that did
        not change since are not read again.
      may_lack: whether a manifest may name files that do not exist; such files are left out.

    Returns:
      the usable utterances, sorted by name.

    Raises:
      UserError: if there are no usable recordings, or a manifest has no column path or names files that do not exist.
    """
    if source.suffix in (".csv", ".jsonl"):
        rows = list(_manifest_rows(source, may_lack))
    elif source.is_dir():
        rows = list(_folder_rows(source))
    else:
        raise UserError(f"{source} is neither a folder nor a manifest (.csv, .jsonl)")
    utterances: list[Utterance] = []
    left_out: list[str] = []
    lengths = lengths or {}
    # Threads overlap the waiting for the disk.
    with concurrent.futures.ThreadPoolExecutor(_READERS) as readers:
        seconds_of = readers.map(lambda row: _seconds(row[0], row[3], lengths.get(row[1])), rows)
        found = []
        with Progress("reading lengths", len(rows), "files") as progress:
            for row, seconds in zip(rows, seconds_of, strict=True):
                found.append((row, seconds))
                progress.advance()
    for (path, name, speaker, _), seconds in found:
        if isinstance(seconds, str):
            left_out.append(f"{name}: {seconds}")
            continue
        if seconds < shortest_s:
            left_out.append(f"{name}: {seconds:.2f} s is shorter than {shortest_s:g} s")
            continue
        utterances.append(Utterance(path, name, speaker, seconds))
    for reason in left_out[:10]:
        log.warning("left out: %s", reason)
    if left_out:
        log.warning("%d of %d recordings left out", len(left_out), len(left_out) + len(utterances))
    if not utterances:
        raise UserError(
            f"no usable speech in {source}: it needs audio ({', '.join(AUDIO_SUFFIXES)}) of at least {shortest_s:g} s"
        )
    return sorted(utterances, key=lambda utterance: utterance.name)


def _seconds(path: Path, stated_s: float | None, before: tuple[float, int, int] | None) -> float | str:
    """The length of an audio file in seconds, or the reason why it cannot be used."""
    if is_unread(path):
        return why_not_read(path)
    if stated_s is not None:
        return stated_s if path.exists() else "no such file"
    try:
        if before is not None:
            status = path.stat()
            if (status.st_size, status.st_mtime_ns) == before[1:]:
                return before[0]
        return duration_s(path)
    except AudioError as error:
        return error.reason
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _folder_rows(folder: Path) -> Iterable[tuple[Path, str, str, float | None]]:
    for path in sound_below(folder):
        match = _LIBRISPEECH.fullmatch(path.name)
        published = match is not None and path.parent.name == match[2] and path.parent.parent.name == match[1]
        yield path, path.relative_to(folder).as_posix(), match[1] if match and published else "", None


def _manifest_rows(manifest: Path, may_lack: bool) -> Iterable[tuple[Path, str, str, float | None]]:
    rows = read_table(manifest, (), "give a folder, or a CSV or JSON lines with the column path")
    if not rows:
        raise UserError(f"{manifest} is empty")
    require_columns(manifest, list(rows[0]), ("path",), "give each recording's path")
    missing_files = []
    for row in rows:
        for column in ("path", "speaker", "duration_s"):
            refuse_nested(manifest, row, column)
        if not row["path"]:
            raise UserError(f"{manifest}: line {row.line} has no path; name the recording, or remove the line")
        path = manifest.parent / row["path"]
        stated = row.get("duration_s")
        try:
            seconds = None if stated in (None, "") else float(stated)
            if seconds is not None and not 0.0 <= seconds < math.inf:
                raise ValueError
        except (TypeError, ValueError):
            raise UserError(
                f"{manifest}: line {row.line} has duration_s {stated!r}; seconds as a number are needed"
            ) from None
        if not path.exists() and not may_lack:
            missing_files.append(row["path"])
            continue
        yield path, row["path"], row.get("speaker", ""), seconds
    if missing_files:
        raise UserError(
            f"{manifest} names {len(missing_files)} files that do not exist, the first is {missing_files[0]}: "
            "paths are relative to the manifest's folder"
        )


def split_validation(
    utterances: Sequence[Utterance], share: float, seed: int
) -> tuple[list[Utterance], list[Utterance]]:
    """Hold out whole speakers for validation, or single utterances where no speaker is known.

    Args:
      utterances: all utterances.
      share: share of the speakers (or utterances) that is held out, 0-1; 0 holds out none.
      seed: seed of the random choice.

    Returns:
      the training utterances and the validation utterances.

    Raises:
      UserError: if nothing would be left to train on.
    """
    if share <= 0:
        return list(utterances), []
    speakers = sorted({utterance.speaker for utterance in utterances})
    keys = [utterance.speaker if len(speakers) > 1 else utterance.name for utterance in utterances]
    names = sorted(set(keys))
    n_held = max(1, round(share * len(names)))
    if n_held >= len(names):
        raise UserError(f"a validation share of {share} leaves no training data: there are {len(names)} speakers")
    held = set(np.random.default_rng([seed, 1]).permutation(names)[:n_held].tolist())
    paired = list(zip(keys, utterances, strict=True))
    return [each for key, each in paired if key not in held], [each for key, each in paired if key in held]


def manifest_digest(utterances: Sequence[Utterance]) -> str:
    """A digest of the data: the names of the utterances, their speakers and their lengths (to the millisecond)."""
    return sha256_of_json([[each.name, each.speaker, round(each.duration_s, 3)] for each in utterances])
