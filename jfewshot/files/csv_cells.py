"""Write cells of CSV: quoted if a reader needs it, and never a formula for a spreadsheet.

A spreadsheet interprets a cell that begins with =, +, - or @ as a formula (CWE-1236). Such text is written with a
leading apostrophe, which spreadsheets interpret as "this is text", and which `read_table` removes. Text that begins
with apostrophes before one of these characters gets one more, so that every text reads back as itself.
"""

import re
from collections.abc import Iterable, Sequence

_FORMULA = re.compile(r"'*[=+\-@]")
_ESCAPED = re.compile(r"'+[=+\-@]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?", re.IGNORECASE)
# A lone carriage return ends a line for most readers; Python's own writer leaves it unquoted.
_QUOTED = re.compile(r'[,"\r\n]')


def escape_formula(text: str) -> str:
    """Text with a leading apostrophe if a spreadsheet would interpret it as a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_formula(text: str) -> str:
    """The text that was given to `escape_formula`."""
    return text[1:] if text[:1] == "'" and _ESCAPED.match(text) else text


def is_number(text: str) -> bool:
    """Whether a spreadsheet reads the text as a plain number, sign and all."""
    return _NUMBER.fullmatch(text) is not None


def csv_line(cells: Sequence[object]) -> str:
    """One line, with its newline: text is escaped, None is empty, numbers are written as Python writes them."""
    texts = [_cell(cell) for cell in cells]
    # An empty line is no row.
    return ('""' if texts == [""] else ",".join(texts)) + "\n"


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Lines of CSV."""
    return "".join(map(csv_line, rows))


def _cell(cell: object) -> str:
    text = escape_formula(cell) if isinstance(cell, str) else "" if cell is None else str(cell)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
