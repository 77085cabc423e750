"""Write labels to files: one CSV, and for each recording a Raven selection table or an Audacity label track."""

from collections.abc import Sequence
from pathlib import Path

from extraction.datasets.annotation_files import Selection, write_audacity, write_raven
from extraction.heads.labels import Label
from jfewshot.files import atomic_write
from jfewshot.files.csv_cells import csv_line

COLUMNS = ("recording", "start_s", "end_s", "class", "score", "margin", "nearest_class")


def write_labels(
    out: Path,
    formats: Sequence[str],
    labels: Sequence[tuple[str, Sequence[Label]]],
    sample_rate: int,
    all_scores: Sequence[str],
) -> list[str]:
    """Write labels.

    Args:
      out: the folder.
      formats: formats to write: `csv`, `raven` and `audacity`.
      labels: name and labels of each recording; in the formats `raven` and `audacity`, a recording without labels gets no file.
      sample_rate: sample rate of the audio that the encoder got, in Hz. Half of it is written as the highest frequency of a
          selection in Raven's format.
      all_scores: classes whose scores get a column in the CSV.

    Returns:
      the files, relative to the folder.
    """
    written = []
    if "csv" in formats:
        with atomic_write(out / "labels.csv", "w") as file:
            file.write(csv_line([*COLUMNS, *(f"score {name}" for name in all_scores)]))
            for _, own in labels:
                file.writelines(csv_line(_row(one, bool(all_scores))) for one in own)
        written.append("labels.csv")
    places = _places([name for name, _ in labels])
    for (name, own), place in zip(labels, places, strict=True):
        if not own:
            # No empty file: it would look as if the recording had been examined and nothing had been found.
            continue
        known = [
            Selection(0, one.start_s, one.end_s, one.label, Path(name).name, one.score)
            for one in own
            if not one.is_unknown
        ]
        if "raven" in formats:
            write_raven(out / "raven" / f"{place}.selections.txt", known, sample_rate)
            written.append(f"raven/{place}.selections.txt")
        if "audacity" in formats:
            write_audacity(out / "audacity" / f"{place}.txt", known)
            written.append(f"audacity/{place}.txt")
    return written


def _places(names: Sequence[str]) -> list[str]:
    """A path inside the output folder for each recording, all different.

    `../x/a.wav` and `x/a.wav` both become `x/a.wav`. The second one then gets a subfolder: `2/x/a.wav`.
    """
    places: dict[str, None] = {}
    for name in names:
        below = place = _below(name)
        number = 1
        while place in places:
            number += 1
            place = f"{number}/{below}"
        places[place] = None
    return list(places)


def _below(name: str) -> str:
    """A recording's name as a path inside the output folder."""
    parts = [part for part in Path(name).parts if part not in ("..", "/", "\\") and not part.endswith((":", ":\\"))]
    return "/".join(parts)


def _row(one: Label, with_scores: bool) -> list[str | float]:
    scores = [_number(value) for value in one.scores] if with_scores else []
    times = _number(one.start_s), _number(one.end_s)
    return [one.recording, *times, one.label, _number(one.score), _number(one.margin), one.nearest, *scores]


def _number(value: float) -> float | str:
    """A number with six digits after the decimal point (microseconds for times); an empty cell for NaN, since silence has no
    scores.

    The value stays a number, since `csv_line` changes text that a spreadsheet could take for a formula.
    """
    return "" if value != value else round(float(value), 6)
