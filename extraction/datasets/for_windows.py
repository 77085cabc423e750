"""Labelled stretches for recordings that are known by their names alone: those of a database of embeddings."""

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
      recording: its place among the names that were given.
      start_s, end_s: in seconds from the recording's beginning.
      label: its class.
    """

    recording: int
    start_s: float
    end_s: float
    label: str


def labelled_stretches(
    annotations: str, columns: Sequence[str], recordings: Sequence[str]
) -> tuple[list[LabelledStretch], list[str]]:
    """The labelled stretches in files of annotations, for some recordings.

    A file of annotations belongs to the recording whose name it begins with, or says in each row which recording is meant.

    Args:
      annotations: `raven:FOLDER`, `audacity:FOLDER`, `textgrid:FOLDER`, `elan:FOLDER` or `csv:FOLDER`.
      columns: pairs WHAT=COLUMN for columns (label, audio, start, end) or the tier that have other names than usual.
      recordings: names of the recordings, paths with forward slashes.

    Returns:
      the stretches that have a label, and the names in annotations that belong to no recording: of files, or of recordings.

    Raises:
      UserError: if the kind of annotations is unknown, a file cannot be read, or no stretch belongs to a recording.
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
            f"database, whose first is {recordings[0] if len(recordings) else 'none'}"
            + (f"; the first annotated one is {first}" if first else "")
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
