"""The user's own transcribed speech: a CSV file of path and text."""

from pathlib import Path

from jfewshot.downstream.asr.datasets.base import AsrData, Utterance
from jfewshot.downstream.user_tables import parts_of, speaker_and_split
from jfewshot.errors import UserError
from jfewshot.files.tables import read_table as rows_of


def read_table(root: Path, table: Path) -> AsrData:
    """Read utterances from a CSV file with the columns path (below `root`) and text, and if known speaker and split.

    The column split (train, dev, test) gives the division. Without the column, `divide` makes folds of whole speakers, or with
    fewer than three known speakers a random division.

    Raises:
      UserError: if a line cannot be used; the message gives file and line.
    """
    rows = rows_of(table, ("path", "text"), "give a CSV with the columns path and text")
    if not rows:
        raise UserError(f"{table} has no lines under its header")
    utterances: dict[str, Utterance] = {}
    for row in rows:
        where = f"{table}, line {row.line}"
        name = row["path"].strip()
        text = " ".join(row["text"].split())
        if not name:
            raise UserError(f"{where} has no path")
        if name in utterances:
            raise UserError(f"{where} names {name} again")
        if not text:
            raise UserError(f"{where} ({name}) has an empty transcript: write what is said, or take the line out")
        path = root / name
        if not path.exists():
            raise UserError(f"{where} names {name}, which is not below {root}; --root is the folder of the paths")
        utterances[name] = Utterance(name, path, text, *speaker_and_split(row, f"{where} ({name})"))
    found = tuple(utterances[name] for name in sorted(utterances))
    return AsrData(f"table:{table.name}", table.stem, found, parts_of(rows))
