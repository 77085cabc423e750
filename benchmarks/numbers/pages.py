"""Reads the tables of the README and of docs/."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def table_below(page: str, text: str) -> list[dict[str, str]]:
    """The first table below a text of a page.

    Args:
      page: its path from the root of the repository.
      text: the heading or sentence above the table.

    Returns:
      a dict for each row, from the heading of a column to the cell, without bold and italics.

    Raises:
      LookupError: if the page has no such text, or no table below it.
    """
    headings, *rows = map(cells_of, table_lines(page, text))
    return [dict(zip(headings, row, strict=True)) for row in rows]


def table_lines(page: str, text: str) -> list[str]:
    """The lines of the first table below a text of a page, without the line of dashes below the headings.

    The text may also be one of the table's headings.
    """
    content = (ROOT / page).read_text(encoding="utf-8")
    place = content.find(text)
    if place < 0:
        raise LookupError(f"{page} has no {text!r} any more")
    lines = re.search(r"(?:^\|.*\n)+", content[content.rfind("\n", 0, place) + 1 :], re.M)
    if not lines:
        raise LookupError(f"{page} has no table below {text!r}")
    headings, _, *rows = lines[0].splitlines()
    return [headings, *rows]


def cells_of(line: str) -> list[str]:
    """The cells of a line, without bold and italics."""
    return [cell.strip().strip("*") for cell in line.strip().strip("|").split("|")]
