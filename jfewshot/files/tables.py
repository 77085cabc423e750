"""Read text tables with a header strictly: CSV with any usual delimiter, TSV, and JSON lines.

This is the only reader of tables in the project. If it would have to guess, it refuses the table and names the line.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jfewshot.errors import UserError
from jfewshot.files.csv_cells import unescape_formula
from jfewshot.files.not_tables import text_of_table

# A longer cell is a quote that was never closed.
_LONGEST_CELL = 2**24
_OTHER_DELIMITERS = (";", "\t", "|")
_JSON_LINES = (".jsonl", ".ndjson")
_LINE_END = re.compile(r"\r\n|\r|\n")


class Row(dict[str, str]):
    """A row, from column to text.

    Attributes:
      line: the line of the file on which the row begins, from 1.
      nested: columns whose cell is a list or an object (JSON lines, Parquet); the text is its JSON.
    """

    line: int = 0
    nested: tuple[str, ...] = ()

    @classmethod
    def of_values(cls, values: Mapping[str, Any], line: int) -> "Row":
        """A row from JSON's values: null and NaN are empty text."""
        row = cls({name: _text_of(value) for name, value in values.items()})
        row.line = line
        row.nested = tuple(name for name, value in values.items() if isinstance(value, list | dict))
        return row


def read_table(path: Path, columns: Sequence[str], fix: str, delimiter: str = ",", quoting: bool = True) -> list[Row]:
    """The rows of a table.

    Args:
      path: the file, in UTF-8. A file whose first character is `{` is read as JSON lines.
      columns: the required columns; others are kept too.
      fix: what to do if the file is missing, for the message: "give a CSV with the columns path and text".
      delimiter: delimiter between fields. If the header does not have it, but a semicolon, a tab or a bar, that is the
          delimiter.
      quoting: whether quotes enclose fields, as in CSV. Without quoting, quotes are ordinary characters, and a line is
          a row.

    Returns:
      The rows in the file's order, each with its line. Cells of CSV are text; the apostrophe that keeps a spreadsheet
      from computing a cell (`csv_cells`) is removed.

    Raises:
      UserError: if the file is missing, is no text table, lacks one of `columns`, or has a row that does not fit the header;
        names the line and the fix.
    """
    text = text_of_table(path, fix)
    if text.lstrip()[:1] == "{" or path.suffix.lower() in _JSON_LINES:
        rows = _json_lines(path, text)
        header = list(rows[0]) if rows else []
    else:
        header, cells, lines = _cells(path, text, delimiter, quoting)
        rows = []
        for line, values in zip(lines, cells, strict=True):
            row = Row(zip(header, values, strict=True))
            row.line = line
            rows.append(row)
    require_columns(path, header, columns, fix)
    for row in rows:
        for column in columns:
            refuse_nested(path, row, column)
    return rows


def refuse_nested(path: Path, row: Row, column: str) -> None:
    """Refuse a list or an object where text is needed.

    Args:
      path: file of the table, for the message.
      row: the row.
      column: name of the column that must hold text.

    Raises:
      UserError: if the cell holds a list or an object; the message names the line, the column and the value.
    """
    if column in row.nested:
        raise UserError(
            f"{path}: line {row.line} has {row[column][:60]} under '{column}', a list or object; text is needed"
        )


def read_cells(path: Path, columns: Sequence[str], fix: str) -> tuple[list[str], list[list[str]], list[int]]:
    """Read a CSV table without making a dict of each row.

    Args:
      path: the file, in UTF-8.
      columns: names of the columns that the table must have.
      fix: what to do if the file is missing or does not fit, for the message.

    Returns:
      the header, the cells of each row, and the line on which each row begins (counted from 1).

    Raises:
      UserError: as in `read_table`.
    """
    header, cells, lines = _cells(path, text_of_table(path, fix), ",", True)
    require_columns(path, header, columns, fix)
    return header, cells, lines


def require_columns(path: Path, header: Sequence[str], columns: Sequence[str], fix: str) -> None:
    """Refuse a table that lacks a column.

    If a column's name differs only in case or white space, the message says so.

    Args:
      path: file of the table, for the message.
      header: names of the columns of the table.
      columns: names of the columns that the table must have.
      fix: what to do, for the message.

    Raises:
      UserError: if a column is missing; the message names the column and the columns of the table.
    """
    missing = next((column for column in columns if column not in header), None)
    if missing is None:
        return
    twin = near_name(missing, header)
    hint = f" Rename {twin!r} to {missing}." if twin is not None else ""
    has = ", ".join(name if name == name.strip() else repr(name) for name in header) or "none"
    raise UserError(f"{path} has no column '{missing}'; it has {has}.{hint} {fix[0].upper()}{fix[1:]}")


def near_name(name: str, names: Sequence[str]) -> str | None:
    """The first of some names that differs only in case or white space."""
    return next((other for other in names if other.strip().casefold() == name.casefold()), None)


def _cells(path: Path, text: str, delimiter: str, quoting: bool) -> tuple[list[str], list[list[str]], list[int]]:
    first = _LINE_END.split(text, maxsplit=1)[0]
    if delimiter not in first:
        delimiter = next((other for other in _OTHER_DELIMITERS if other in first), delimiter)
    quoted = quoting and not (delimiter == "\t" and _lines_fit(text))
    numbered = list(_parse(path, text, delimiter, quoted))
    if not numbered:
        return [], [], []
    (_, header), *numbered = numbered
    escaped = quoting and "'" in text
    if quoting:
        header = [unescape_formula(name if quoted else _unquoted(name)) for name in header]
    while len(header) > 1 and not header[-1].strip() and all(not any(row[len(header) - 1 :]) for _, row in numbered):
        header = header[:-1]  # spreadsheets pad their rows
    named = [name for name in header if name.strip()]
    repeated = next((name for name in named if named.count(name) > 1), None)
    if repeated is not None:
        raise UserError(f"{path} has the column '{repeated}' twice; remove or rename one")
    # The end of a file may be blank, or a spreadsheet's empty rows. `""` in a table of one column is an empty cell.
    while numbered and not any(row := numbered[-1][1]) and len(row) != 1:
        numbered.pop()
    cells = []
    for line, row in numbered:
        row = row or [""]
        if len(row) > len(header) and not any(row[len(header) :]):
            row = row[: len(header)]
        if len(row) != len(header):
            raise UserError(
                f"{path}: line {line} has {len(row)} field{'s' * (len(row) != 1)}, the header has {len(header)}"
                + _why_ragged(row, header, delimiter, quoted)
            )
        if quoting and not quoted:
            row = [_unquoted(cell) for cell in row]
        if escaped:
            row = [unescape_formula(cell) for cell in row]
        cells.append(row)
    return header, cells, [line for line, _ in numbered]


def _parse(path: Path, text: str, delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line that each begins on; blank lines are left out, except in a table of one column, where they are cells."""
    limit = csv.field_size_limit(_LONGEST_CELL)
    quoting: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    line, width = 1, 0
    try:
        for row in reader:
            width = width or len(row)
            if row or width == 1:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        at = f"lines {line} to {reader.line_num}" if reader.line_num > line else f"line {line}"
        raise UserError(
            f"{path}: {at} cannot be read ({error}): a quote is opened and not closed, or stands inside a quoted field. "
            "Double the quotes inside quoted fields, or write the table as TSV, where a quote is a character like others"
        ) from error
    finally:
        csv.field_size_limit(limit)


def _lines_fit(text: str) -> bool:
    """Whether each line of a tab-separated table has as many fields as the header, whatever its quotes.

    Then no quote encloses a tab or a newline, and a quote that nothing closes is part of a sentence.
    """
    counts = {line.count("\t") for line in _LINE_END.split(text) if line.strip()}
    return len(counts) == 1


def _unquoted(cell: str) -> str:
    """A cell of a tab-separated table without the quotes that a spreadsheet put around all of it."""
    inner = cell[1:-1]
    whole = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if whole else cell


def _why_ragged(row: Sequence[str], header: Sequence[str], delimiter: str, quoted: bool) -> str:
    if len(row) < len(header):
        return "; is the line cut short, or a quote not closed before it? Give every line all fields"
    if quoted:
        return f"; a field that holds '{delimiter}' must stand in quotes: \"{row[-2]}{delimiter}{row[-1]}\""
    return "; a tab inside a field cannot be told from one between fields"


def _json_lines(path: Path, text: str) -> list[Row]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise UserError(
                f"{path}: line {number} is not JSON ({error}); give one JSON object a line, or a CSV"
            ) from error
        except ValueError as error:
            # Python refuses to read more than 4,300 digits, and its message names a setting of Python, which would not
            # help our users.
            raise UserError(f"{path}: line {number} holds a number of thousands of digits; give it as text") from error
        if not isinstance(value, dict):
            raise UserError(
                f'{path}: line {number} is not a JSON object; give one JSON object a line: {{"path": "a.wav", "label": "owl"}}'
            )
        rows.append(Row.of_values(value, number))
    names = list(dict.fromkeys(name for row in rows for name in row))
    for row in rows:
        for name in names:
            row.setdefault(name, "")  # JSON leaves out what is not known
    return rows


def _text_of(value: object) -> str:
    if value is None or value != value:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
