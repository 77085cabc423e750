"""The user's own speech as a CSV file: columns that several tasks read, and the table for `jfewshot extract`."""

import logging
from collections.abc import Sequence
from pathlib import Path

from jfewshot.downstream.folds import UNDIVIDED, Parts
from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.files.csv_cells import csv_text
from jfewshot.files.tables import Row

log = logging.getLogger(__name__)

SPLITS = ("train", "dev", "test")


def speaker_and_split(row: Row, where: str) -> tuple[str, str]:
    """Read the columns speaker and split of a line, both of which a table may lack.

    Args:
      row: the line.
      where: file, line and utterance, for the message.

    Returns:
      the two; empty if the table lacks the column.

    Raises:
      UserError: if the table has the column split and the line has another split than train, dev or test.
    """
    split = (row.get("split") or "").strip()
    if "split" in row and split not in SPLITS:
        raise UserError(f"{where} has the split '{split}'; it must be {', '.join(SPLITS)}")
    return (row.get("speaker") or "").strip(), split


def parts_of(rows: Sequence[Row]) -> Parts:
    """The division that the column split gives; no parts if the table lacks the column."""
    return Parts(("train",), ("dev",), ("test",)) if "split" in rows[0] else UNDIVIDED


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write utterances as a CSV file, and log the command that extracts frames of these with any upstream.

    Args:
      path: file to write.
      columns: names of the columns: path, label and any others.
      rows: a text for each column of each utterance.
    """
    with atomic_write(path, "w") as file:
        file.write(csv_text([tuple(columns), *rows]))
    log.info("wrote %s; next: jfewshot extract --datasets table:%s --pooling frames --segment whole", path, path)
