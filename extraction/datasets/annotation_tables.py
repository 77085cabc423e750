"""Read annotations from CSV files with a header and one row for each labelled stretch.

    label,start_s,end_s,path            one file may have rows about several recordings
    owl,12.5,14.0,site2/dawn.wav

A file without a column of recordings belongs to the recording with whose name its own name begins. Programs give these columns
different names. Of the names in each line below, the first one that the table has is used; upper and lower case are equal.
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
    """Read the annotations of one CSV file.

    Args:
      path: the file; columns are separated by `,`, `;`, a tab or `|`.
      columns: names of the columns for label, begin, end, recording and group, if they are not the usual ones; and further
        columns to keep.

    Raises:
      UserError: if a column is missing, or if a time is no number of seconds.
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
    """The column that holds `what`; empty for an optional column that is missing and that the user did not name."""
    if named is not None:
        if named not in header:
            raise UserError(f"{path} has no column {named}; it has {', '.join(header)}")
        return named
    lower = {column.casefold(): column for column in header}
    found = next((lower[name.casefold()] for name in usual if name.casefold() in lower), "")
    if not found and not optional:
        raise UserError(
            f"{path} has no column of {what} with a usual name ({', '.join(usual[:4])}); it has {', '.join(header)}. "
            f"Name it with {option}"
        )
    return found
