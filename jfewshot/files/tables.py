"""Reading text tables with a header: CSV, and with another delimiter TSV."""

import csv
from collections.abc import Sequence
from pathlib import Path

from jfewshot.errors import UserError


def read_table(path: Path, columns: Sequence[str], fix: str, delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a table, each a dictionary from column to text.

    Args:
      path: the file, in UTF-8.
      columns: those that must be there; others are kept too.
      fix: what to do where the file is missing, for the message: "give a CSV with the columns path and text".
      delimiter: between fields.

    Returns:
      The rows in the file's order. A row with too few fields has None for those that are missing; surplus fields stand as a
      list under the key None.

    Raises:
      UserError: if the file is missing, is not UTF-8 text, or lacks one of `columns`.
    """
    try:
        # utf-8-sig: spreadsheets put a mark before the first column's name.
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            rows = list(reader)
            header = reader.fieldnames or []
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; {fix}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not a table in UTF-8 text: {error}") from error
    missing = [column for column in columns if column not in header]
    if missing:
        raise UserError(
            f"{path} has no column '{missing[0]}'; it has {', '.join(header) or 'none'}. {fix[0].upper()}{fix[1:]}"
        )
    return rows
