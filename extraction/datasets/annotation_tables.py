"""Annotations in CSV files with a header: a row for each labelled stretch.

    label,start_s,end_s,path            one file may speak of several recordings
    owl,12.5,14.0,site2/dawn.wav

Without a column of recordings, a file belongs to the recording whose name it begins with. Programs call these columns by many
names; the first of each line below that a table has is used, in any case of letters.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from extraction.datasets.annotation_files import LABELS, Selection, last_name
from extraction.datasets.base import Columns
from extraction.datasets.layout import read_table
from extraction.datasets.own import seconds_of
from jfewshot.errors import UserError

_LABEL = ("label", "class", "name", "label:species", *LABELS)
_START = ("start_s", "onset_s", "begin_s", "start_seconds", "start_time", "onset", "begin", "start")
_END = ("end_s", "offset_s", "stop_s", "end_seconds", "stop_seconds", "end_time", "offset", "stop", "end")
_FILE = ("path", "file_name", "filename", "file", "notated_path", "source_file", "audio", "recording", "audiofilename")
_BOUNDS = {
    "low_hz": ("low_hz", "low_freq", "low_freq_hz", "min_freq", "freq_min"),
    "high_hz": ("high_hz", "high_freq", "high_freq_hz", "max_freq", "freq_max"),
}


def read_csv(path: Path, columns: Columns) -> Iterator[Selection]:
    """The annotations of one CSV file.

    Args:
      path: of the file: `,`, `;`, tab or `|` between the columns.
      columns: of the label, begin, end, recording and group where they have other names, and further columns to keep.

    Raises:
      UserError: if a column is missing, or a time is no number of seconds.
    """
    rows = read_table(path, ())
    if not rows:
        return
    header = rows[0]
    label = _column(path, header, columns.label, _LABEL, "the class", "--column.label")
    begin = _column(path, header, columns.start, _START, "where a stretch begins, in seconds", "--column.start")
    end = _column(path, header, columns.end, _END, "where a stretch ends, in seconds", "--column.end")
    file = _column(path, header, columns.audio, _FILE, "the recording", "--column.audio", optional=True)
    group = _column(path, header, columns.group, ("group",), "the group", "--column.group", optional=True)
    kept = {}
    for name, names in _BOUNDS.items():
        if (bound := _column(path, header, None, names, name, "", optional=True)) and name not in columns.further:
            kept[name] = bound
    kept |= {name: _column(path, header, name, (), name, "--column.further") for name in columns.further}
    for row in rows:
        start_s, end_s = (seconds_of(row[column], f"{path}, line {row.line}, {column}") for column in (begin, end))
        yield Selection(
            row.line,
            start_s,
            end_s,
            row[label].strip(),
            last_name(row[file].strip()) if file else "",
            group=row[group] if group else None,
            further=tuple((name, row[column].strip()) for name, column in kept.items()),
        )


def _column(
    path: Path,
    header: Mapping[str, str],
    named: str | None,
    usual: Sequence[str],
    what: str,
    option: str,
    optional: bool = False,
) -> str:
    """The column that holds `what`; empty for an optional one that is not there and was not named."""
    if named is not None:
        if named not in header:
            raise UserError(f"{path} has no column {named}; it has {', '.join(header)}")
        return named
    lower = {column.casefold(): column for column in header}
    found = next((lower[name.casefold()] for name in usual if name.casefold() in lower), "")
    if not found and not optional:
        raise UserError(
            f"{path} has no column of {what} that is known by its name ({', '.join(usual[:4])}); it has {', '.join(header)}. "
            f"Name it with {option}"
        )
    return found
