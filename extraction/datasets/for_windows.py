"""Labelled stretches for recordings of which only the names are known, such as those in a database of embeddings."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from extraction.datasets import FAMILIES, load_dataset
from extraction.datasets.annotations import Annotations, Names
from extraction.datasets.base import Columns
from jfewshot.errors import UserError
from jfewshot.files import files_below

KINDS = tuple(name for name, target in FAMILIES.items() if target.startswith("extraction.datasets.annotations:"))
_COLUMNS = ("label", "audio", "start", "end", "tier")


@dataclasses.dataclass(frozen=True)
class LabelledStretch:
    """A labelled stretch of a recording.

    Attributes:
      recording: index of the recording in the list of names.
      start_s, end_s: beginning and end in seconds from the recording's beginning.
      label: class of the stretch.
    """

    recording: int
    start_s: float
    end_s: float
    label: str


def labelled_stretches(
    annotations: str, columns: Sequence[str], recordings: Sequence[str]
) -> tuple[list[LabelledStretch], list[str]]:
    """Find the labelled stretches of some recordings in files of annotations.

    A file of annotations either belongs to the recording with whose name its own name begins, or each of its rows names a
    recording.

    Args:
      annotations: `raven:FOLDER`, `audacity:FOLDER`, `textgrid:FOLDER`, `elan:FOLDER` or `csv:FOLDER`.
      columns: pairs WHAT=COLUMN for columns (label, audio, start, end) or a tier whose names are not the usual ones.
      recordings: names of the recordings, paths with forward slashes.

    Returns:
      the stretches that have a label, and the names of annotation files or of recordings in them that match no recording.

    Raises:
      UserError: if the kind of annotations is unknown, if a file cannot be read, or if no stretch belongs to a recording.
    """
    kind, colon, folder = annotations.partition(":")
    if not colon or kind not in KINDS:
        raise UserError(
            f"--annotations {annotations}: it takes {', '.join(f'{name}:FOLDER' for name in KINDS)} (docs/datasets)"
        )
    dataset = load_dataset(annotations, _columns_of(columns))
    assert isinstance(dataset, Annotations)
    paths = {Path(name): number for number, name in reversed(list(enumerate(recordings)))}
    names = Names(paths, None)
    files = [path for path in files_below(dataset.folder) if path.suffix.lower() == dataset.ending]
    found: list[LabelledStretch] = []
    unknown: dict[str, None] = {}
    for path in files:
        for one in dataset.read(path, dataset.columns):
            recording = names.find(one.file or path.name, path)
            if recording is None:
                unknown[one.file or path.name] = None
            elif one.label:
                found.append(LabelledStretch(paths[recording], one.start_s, one.end_s, one.label))
    if not found:
        first = next(iter(unknown), "")
        raise UserError(
            f"{folder}: no labelled stretch in its {len(files)} files ending in {dataset.ending} belongs to a recording of the "
            f"database; the first recording of the database is {recordings[0] if len(recordings) else 'none'}"
            + (f", and the first annotated recording is {first}" if first else "")
        )
    return found, list(unknown)


def _columns_of(pairs: Sequence[str]) -> Columns:
    given: dict[str, str] = {}
    for pair in pairs:
        what, equals, column = pair.partition("=")
        if not equals or what not in _COLUMNS:
            raise UserError(
                f"--annotation-columns {pair}: it takes WHAT=COLUMN, where WHAT is one of {', '.join(_COLUMNS)}"
            )
        given[what] = column
    return Columns(
        audio=given.get("audio"),
        label=given.get("label"),
        start=given.get("start"),
        end=given.get("end"),
        tier=given.get("tier"),
    )
