"""Format version 1, with a file of JSON and a file of predictions for each cell: it is still read, but no longer written."""

from pathlib import Path
from typing import Any

from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file
from jfewshot.results.appending import PREDICTIONS
from jfewshot.results.indexing import LONGEST_LINE
from jfewshot.results.lines import LineReader

CELLS = "cells"
_VERSION = 1


def single_files(folder: Path) -> list[Path]:
    """The files of records, sorted by key.

    Args:
      folder: the result folder.
    """
    return sorted((folder / CELLS).glob("*.json"))


def read_single_file(path: Path, reader: LineReader) -> dict[str, Any]:
    """A record.

    Args:
      path: of its file.
      reader: makes records out of JSON.

    Raises:
      UserError: names the file and its error.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(LONGEST_LINE + 1)
        if len(data) > LONGEST_LINE:
            raise UserError(f"it has more than {LONGEST_LINE:,} bytes, the most that a record has")
        record = reader.record(data, _VERSION)
        if record["key"] != path.stem:
            raise UserError("its key is not the file's name")
    except UserError as error:
        raise UserError(f"{path} is damaged ({error}); delete it and run the same command again") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    return record


def find_single_file(folder: Path, key: str, reader: LineReader) -> dict[str, Any] | None:
    """Find the record of a cell in a folder of format version 1.

    Args:
      folder: the result folder.
      key: key of the cell.
      reader: makes a record from a line of JSON.

    Returns:
      the record; None if there is none, or if the record or its file of predictions is damaged.
    """
    path = folder / CELLS / f"{key}.json"
    if not path.parent.exists() or not path.exists():
        return None
    try:
        record = read_single_file(path, reader)
        predictions = folder / PREDICTIONS / record["predictions"]["file"]
        whole = sha256_of_file(predictions) == record["predictions"]["sha256"]
    except (UserError, OSError):
        return None
    return record if whole else None
