"""Tables of the README and of docs/."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def table_below(page: str, text: str) -> list[dict[str, str]]:
    """The first table below a text of a page.

    Args:
      page: its path from the root of the repository.
      text: the heading or sentence above the table.

    Returns:
      A dict per row, from the heading of a column to the cell, without bold and italics.

    Raises:
      LookupError: the page has no such text, or no table below it.
    """
    _, found, below = (ROOT / page).read_text(encoding="utf-8").partition(text)
    if not found:
        raise LookupError(f"{page} has no {text!r} any more")
    lines = re.search(r"(?:^\|.*\n)+", below, re.M)
    if not lines:
        raise LookupError(f"{page} has no table below {text!r}")
    headings, _, *rows = [
        [cell.strip().strip("*") for cell in line.strip().strip("|").split("|")] for line in lines[0].splitlines()
    ]
    return [dict(zip(headings, row, strict=True)) for row in rows]
