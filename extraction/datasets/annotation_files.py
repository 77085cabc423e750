"""The files of annotation programs, read and written: Raven's selection tables and Audacity's label tracks.

What is written here is read back here, and by the package crowsetta (tests/extraction/datasets/test_annotation_files.py).
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

# Raven has no column for labels of its own: these are what people, and BirdNET, call theirs.
LABELS = ("Annotation", "Species", "Label", "Class", "Common Name", "Species Code", "Sound Type", "Call Type")
_BEGIN, _END, _OFFSET = "Begin Time (s)", "End Time (s)", "File Offset (s)"
_FILES = ("Begin Path", "Begin File")
# Of Raven, and what the further columns of the clip table are called; Audacity has the same two in a label's second line.
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
    """One labelled stretch of a file of annotations.

    Attributes:
      line: of the file, from 1.
      start_s, end_s: in the recording, in seconds.
      label: its class; may be empty.
      file: the recording's name where the annotations say it; empty where the name of their file does.
      score: how sure a classifier is of the label; None where a person gave it.
      group: what must not be on both sides of an episode; None for the recording.
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
    """The selections of one of Raven's selection tables (Raven Pro User's Manual, chapter 6).

    Frequency bounds become the further columns `low_hz` and `high_hz`.

    Args:
      path: of the table, text with tabs.
      columns: of the label, begin and end, where they have other names; of the group; and further columns to keep.

    Raises:
      UserError: if it is no selection table, has no column of labels, or a time that is no number.
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
            continue  # the same selection in another view
        seen.add(key)
        begin_s, end_s = (seconds_of(row[column], f"{path}, line {number}, {column}") for column in (begin, end))
        file = next((row[column] for column in _FILES if row.get(column)), "")
        # In a table of several files the times run on from one file to the next, and this column begins anew.
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
    """The labels of a track that Audacity exported: begin, end and text between tabs, without a header.

    A second line of a label begins with a backslash and holds its frequency bounds, which become the further columns `low_hz` and
    `high_hz`.

    Args:
      path: of the label track.
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
    """Write one of Raven's selection tables, all frequencies of the recording selected.

    Args:
      path: of the table, which ends in `.selections.txt`.
      selections: in the order in which they are written; their lines are not used.
      sample_rate: of the recording, in Hz.
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
      path: of the label track, which ends in `.txt`.
      selections: in the order in which they are written; of each, the times and the label.
    """
    _write(path, [f"{one.start_s:.6f}\t{one.end_s:.6f}\t{_cell(one.label)}" for one in selections])


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "w") as file:
        file.write("".join(f"{line}\n" for line in lines))


def _cell(text: str) -> str:
    """A text without what ends a cell or a line."""
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
            f"{path} has no column {', '.join(LABELS[:-1])} or {LABELS[-1]}; it has {', '.join(row)}. Name the one of the class: "
            "--column.label"
        )
    return found


def last_name(file: str) -> str:
    """The name of a recording without the folders of the machine on which it was annotated.

    Args:
      file: a path of any system, or an address.
    """
    return PureWindowsPath(file).name if "\\" in file else PurePosixPath(file).name
