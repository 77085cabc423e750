"""Read and write the files of annotation programs: Raven's selection tables and Audacity's label tracks.

Tests read the written files with this module and with the package crowsetta (tests/extraction/datasets/test_annotation_files.py).
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from extraction.datasets.base import Columns
from extraction.datasets.layout import read_table
from extraction.datasets.own import seconds_of
from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.files.not_tables import text_of_table

# Raven has no standard column for labels. These are the names that users, and BirdNET, give to this column.
LABELS = ("Annotation", "Species", "Label", "Class", "Common Name", "Species Code", "Sound Type", "Call Type")
_BEGIN, _END, _OFFSET = "Begin Time (s)", "End Time (s)", "File Offset (s)"
_FILES = ("Begin Path", "Begin File")
# Raven's columns, and the names of the further columns in the clip table. Audacity has both numbers in a label's second line.
_BOUNDS = {"Low Freq (Hz)": "low_hz", "High Freq (Hz)": "high_hz"}
_WRITTEN = (
    "Selection",
    "View",
    "Channel",
    _BEGIN,
    _END,
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin File",
    "Annotation",
    "Score",
)


@dataclasses.dataclass(frozen=True)
class Selection:
    """A labelled stretch from a file of annotations.

    Attributes:
      line: number of the line in the file, from 1.
      start_s, end_s: beginning and end in the recording, in seconds.
      label: class of the stretch; may be empty.
      file: name of the recording if the annotations give it; empty if it follows from the name of the annotation file.
      score: how certain a classifier is of the label; None if a person gave the label.
      group: group of the clip, whose clips must not be on both sides of an episode; None if the group is the recording.
      further: pairs of name and text for the further columns of the clip table, for instance frequency bounds.
    """

    line: int
    start_s: float
    end_s: float
    label: str
    file: str = ""
    score: float | None = None
    group: str | None = None
    further: tuple[tuple[str, str], ...] = ()


def read_raven(path: Path, columns: Columns) -> Iterator[Selection]:
    """Read the selections of one of Raven's selection tables (Raven Pro User's Manual, chapter 6).

    Frequency bounds become the further columns `low_hz` and `high_hz`.

    Args:
      path: the table, text with tabs.
      columns: names of the columns for label, begin and end, if they are not the usual ones; name of the column for the group;
        and further columns to keep.

    Raises:
      UserError: if the file is no selection table, if it has no column for labels, or if a time is no number.
    """
    rows = read_table(path, ("Selection",), "\t", quoting=False)
    if not rows:
        return
    label = _label_column(path, rows[0], columns.label)
    begin, end = columns.start or _BEGIN, columns.end or _END
    for column in (begin, end, *([columns.group] if columns.group else []), *columns.further):
        if column not in rows[0]:
            raise UserError(f"{path} has no column {column}; it has {', '.join(rows[0])}")
    bounds = {column: name for column, name in _BOUNDS.items() if column in rows[0] and name not in columns.further}
    kept = bounds | {column: column for column in columns.further}
    seen = set()
    for row in rows:
        number = row.line
        if (key := (row["Selection"], row[begin], row[end], row[label])) in seen:
            continue  # Raven writes a selection once for each view
        seen.add(key)
        begin_s, end_s = (seconds_of(row[column], f"{path}, line {number}, {column}") for column in (begin, end))
        file = next((row[column] for column in _FILES if row.get(column)), "")
        # In a table of several files the times continue from one file to the next; this column begins at 0 for each file.
        offset = row.get(_OFFSET, "")
        if file and offset:
            start_s = seconds_of(offset, f"{path}, line {number}, {_OFFSET}")
            begin_s, end_s = start_s, start_s + end_s - begin_s
        yield Selection(
            number,
            begin_s,
            end_s,
            row[label].strip(),
            last_name(file),
            group=row[columns.group] if columns.group else None,
            further=tuple((name, row[column].strip()) for column, name in kept.items()),
        )


def read_audacity(path: Path, columns: Columns) -> Iterator[Selection]:
    """Read the labels of a track that Audacity exported: begin, end and text between tabs, without a header.

    The second line of a label begins with a backslash and holds its frequency bounds. They become the further columns `low_hz`
    and `high_hz`.

    Args:
      path: the label track.
      columns: not used.

    Raises:
      UserError: if a line is no label.
    """
    lines = text_of_table(path, "export the labels again").splitlines()
    for number, (line, after) in enumerate(itertools.zip_longest(lines, lines[1:], fillvalue=""), 1):
        if not line.strip() or line.startswith("\\"):
            continue
        begin, *rest = line.split("\t")
        if not rest:
            raise UserError(
                f"{path}, line {number}: '{line[:40]}' is no label of Audacity: begin, end and text between tabs"
            )
        begin_s, end_s = (seconds_of(text, f"{path}, line {number}") for text in (begin, rest[0]))
        low_high = after.split("\t")[1:3] if after.startswith("\\") else []
        further = tuple(zip(_BOUNDS.values(), map(str.strip, low_high), strict=True)) if len(low_high) == 2 else ()
        yield Selection(number, begin_s, end_s, "\t".join(rest[1:]).strip(), further=further)


def write_raven(path: Path, selections: Sequence[Selection], sample_rate: int) -> None:
    """Write one of Raven's selection tables. Each selection covers all frequencies of the recording.

    Args:
      path: the table, whose name ends in `.selections.txt`.
      selections: selections in the order in which to write them; their line numbers are not used.
      sample_rate: sample rate of the recording in Hz.
    """
    rows = ["\t".join(_WRITTEN)]
    for number, one in enumerate(selections, 1):
        times = f"{one.start_s:.6f}\t{one.end_s:.6f}"
        score = "" if one.score is None else f"{one.score:.6f}"
        cells = (
            number,
            "Spectrogram 1",
            1,
            times,
            "0.0",
            f"{sample_rate / 2:.1f}",
            _cell(one.file),
            _cell(one.label),
            score,
        )
        rows.append("\t".join(map(str, cells)))
    _write(path, rows)


def write_audacity(path: Path, selections: Sequence[Selection]) -> None:
    """Write a label track that Audacity imports.

    Args:
      path: the label track, whose name ends in `.txt`.
      selections: selections in the order in which to write them; only their times and labels are written.
    """
    _write(path, [f"{one.start_s:.6f}\t{one.end_s:.6f}\t{_cell(one.label)}" for one in selections])


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "w") as file:
        file.write("".join(f"{line}\n" for line in lines))


def _cell(text: str) -> str:
    """A text without characters that would end a cell or a line."""
    return " ".join(text.split()) if any(character in text for character in "\t\r\n") else text


def _label_column(path: Path, row: dict[str, str], named: str | None) -> str:
    if named is not None:
        if named not in row:
            raise UserError(f"{path} has no column {named}; it has {', '.join(row)}")
        return named
    lower = {column.casefold(): column for column in row}
    found = next((lower[name.casefold()] for name in LABELS if name.casefold() in lower), None)
    if found is None:
        raise UserError(
            f"{path} has no column {', '.join(LABELS[:-1])} or {LABELS[-1]}; it has {', '.join(row)}. Name the column of the "
            "class: --column.label"
        )
    return found


def last_name(file: str) -> str:
    """The name of a recording without the folders of the machine on which it was annotated.

    Args:
      file: a path of any operating system, or a web address.
    """
    return PureWindowsPath(file).name if "\\" in file else PurePosixPath(file).name
