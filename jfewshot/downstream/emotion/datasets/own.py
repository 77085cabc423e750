"""The user's own emotional speech: a folder, or a CSV file.

--dataset folder:NAME       ROOT/<emotion>/<group>/**/*.wav
--dataset table:PATH        a CSV with the columns path (below ROOT), label, group and, if known, speaker
"""

import logging
from pathlib import Path

from jfewshot.audio import is_unread, sound_below, why_not_read
from jfewshot.downstream.emotion.datasets.base import EmotionData, Utterance
from jfewshot.downstream.user_tables import write_table as write_rows
from jfewshot.errors import UserError
from jfewshot.files.tables import read_table as rows_of

log = logging.getLogger(__name__)

_COLUMNS = ("path", "label", "group")


def read_folder(root: Path, name: str) -> EmotionData:
    """Read audio from a folder per emotion that contains a folder per group (speaker, session)."""
    utterances = []
    for path in sound_below(root):
        parts = path.relative_to(root).parts
        if is_unread(path):
            log.warning("left out: %s: %s", "/".join(parts), why_not_read(path))
            continue
        if len(parts) < 3:
            raise UserError(
                f"{path} has no group; it should lie in {root}/<emotion>/<group>/, or give a CSV as table:PATH"
            )
        utterances.append(Utterance("/".join(parts), path, parts[0], parts[1], parts[1]))
    if not utterances:
        raise UserError(f"{root} holds no audio; it should look like {root}/<emotion>/<group>/<utterance>.wav")
    return EmotionData(name, name, tuple(utterances), groups_are="group")


def read_table(root: Path, table: Path) -> EmotionData:
    """Read paths, labels and groups from a CSV file with a header.

    Raises:
      UserError: if a line lacks one of these, or its audio file does not exist; the message gives the first such line.
    """
    rows = rows_of(table, _COLUMNS, "give a CSV with the columns path, label and group")
    utterances: dict[str, Utterance] = {}
    for row in rows:
        for needed in _COLUMNS:
            if not row[needed]:
                raise UserError(
                    f"{table}: line {row.line} ({row['path'] or 'no path'}) has no {needed}; fill it in or remove it"
                )
        path = root / row["path"]
        if not path.is_file():
            raise UserError(f"{table}: line {row.line} names {row['path']}, which is not below --root {root}")
        name = Path(row["path"]).as_posix()
        if name in utterances:
            raise UserError(f"{table}: line {row.line} names {name} again; give each utterance one line")
        utterances[name] = Utterance(name, path, row["label"], row["group"], row.get("speaker") or row["group"])
    if not utterances:
        raise UserError(f"{table} has no lines under its header")
    return EmotionData(
        table.stem, table.stem, tuple(utterances[name] for name in sorted(utterances)), groups_are="group"
    )


def write_table(data: EmotionData, path: Path) -> None:
    """Write the dataset as a CSV file that `read_table` and `jfewshot extract --datasets table:PATH` read."""
    rows = [(each.name, each.label, each.group, each.speaker) for each in data.utterances]
    write_rows(path, ("path", "label", "group", "speaker"), rows)
