"""Which utterances there are: from a folder, a manifest, or LibriSpeech as published."""

import logging
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jfewshot.audio import AUDIO_SUFFIXES, AudioError, audio_below, duration_s
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json
from jfewshot.files.tables import read_table, refuse_nested, require_columns

log = logging.getLogger(__name__)

# LibriSpeech: <speaker>/<chapter>/<speaker>-<chapter>-<number>.flac
_LIBRISPEECH = re.compile(r"(\d+)-(\d+)-\d{4,}\.flac")


@dataclass(frozen=True)
class Utterance:
    """One recording.

    Args:
      path: the audio file.
      name: path below the source, for digests and messages.
      speaker: empty if unknown.
      duration_s: by its header or the manifest.
    """

    path: Path
    name: str
    speaker: str
    duration_s: float


def read_utterances(source: Path, shortest_s: float) -> list[Utterance]:
    """All usable utterances, sorted by name; what is left out is counted and logged with its reason.

    Args:
      source: a `.csv` or `.jsonl` manifest with `path` (relative to the manifest's folder, or absolute) and if known
        `speaker` and `duration_s`; or a folder, searched recursively. In a folder laid out as LibriSpeech is,
        speakers are known; in any other, they are not.
      shortest_s: shorter utterances are left out.

    Raises:
      UserError: nothing there, nothing usable, a manifest without a path column, or with files that do not exist.
    """
    if source.suffix in (".csv", ".jsonl"):
        rows = _manifest_rows(source)
    elif source.is_dir():
        rows = _folder_rows(source)
    else:
        raise UserError(f"{source} is neither a folder nor a manifest (.csv, .jsonl)")
    utterances: list[Utterance] = []
    left_out: list[str] = []
    for path, name, speaker, stated_s in rows:
        try:
            seconds = duration_s(path) if stated_s is None else stated_s
        except AudioError as error:
            left_out.append(f"{name}: {error.reason}")
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


def _folder_rows(folder: Path) -> Iterable[tuple[Path, str, str, float | None]]:
    for path in audio_below(folder):
        match = _LIBRISPEECH.fullmatch(path.name)
        published = match is not None and path.parent.name == match[2] and path.parent.parent.name == match[1]
        yield path, path.relative_to(folder).as_posix(), match[1] if match and published else "", None


def _manifest_rows(manifest: Path) -> Iterable[tuple[Path, str, str, float | None]]:
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
        if not path.exists():
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
    """Names the data: what the utterances are called, who speaks, how long (to the millisecond)."""
    return sha256_of_json([[each.name, each.speaker, round(each.duration_s, 3)] for each in utterances])
