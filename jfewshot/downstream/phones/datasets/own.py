"""The user's own speech with labelled phones: a CSV file of path and phones."""

from pathlib import Path

from jfewshot.downstream.phones.datasets.base import PhoneData, Utterance
from jfewshot.downstream.phones.phone_sets import own_phones
from jfewshot.downstream.phones.segments import read_segments
from jfewshot.downstream.user_tables import parts_of, speaker_and_split
from jfewshot.downstream.user_tables import write_table as write_rows
from jfewshot.errors import UserError
from jfewshot.files.tables import read_table as rows_of

_COLUMNS = ("path", "phones")


def read_table(root: Path, table: Path) -> PhoneData:
    """Read utterances from a CSV file with the columns path and phones (both below `root`), and if known speaker and split.

    `phones` is a file that `read_segments` reads. The column split (train, dev, test) gives the division. Without the column,
    `divide` makes folds of whole speakers, or with fewer than three known speakers a random division.

    Raises:
      UserError: if a line cannot be used; the message gives file and line.
    """
    rows = rows_of(table, _COLUMNS, "give a CSV with the columns path and phones")
    if not rows:
        raise UserError(f"{table} has no lines under its header")
    utterances: dict[str, Utterance] = {}
    for row in rows:
        where = f"{table}, line {row.line}"
        for column in _COLUMNS:
            if not row[column].strip():
                raise UserError(f"{where} has no {column}: fill it in, or take the line out")
            if not (root / row[column].strip()).is_file():
                raise UserError(
                    f"{where} names {row[column]}, which is not below {root}; --root is the folder of the paths"
                )
        name = Path(row["path"].strip()).as_posix()
        if name in utterances:
            raise UserError(f"{where} names {name} again")
        speaker, part = speaker_and_split(row, f"{where} ({name})")
        segments = read_segments(root / row["phones"].strip())
        utterances[name] = Utterance(name, root / name, speaker, part, segments)
    found = tuple(utterances[name] for name in sorted(utterances))
    phones = own_phones({phone for each in found for phone in each.segments.phones})
    return PhoneData(f"table:{table.name}", table.stem, found, phones, parts_of(rows))


def write_table(data: PhoneData, path: Path) -> None:
    """Write the utterances as a CSV file that `jfewshot extract --datasets table:PATH` reads; the label is the speaker.

    Raises:
      UserError: if an utterance is a stretch of a recording.
    """
    rows = []
    for each in data.utterances:
        if not isinstance(each.audio, Path):
            raise UserError(f"--write-table: {each.name} is a stretch of a recording; leave out --dirha")
        rows.append((each.name, each.speaker or "unknown"))
    write_rows(path, ("path", "label"), rows)
