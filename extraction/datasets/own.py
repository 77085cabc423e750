"""A dataset of one's own, without a line of code: a folder of class folders, or a table of paths and labels.

    --datasets folder:NAME      ROOT/<class>/**/*.wav
    --datasets table:PATH       a CSV, TSV or Parquet file with the columns below (or others, named with --column.label
                                and so on); audio paths are relative to ROOT

| column | |
|---|---|
| `path` (or `file_name`) | the audio file; required |
| `label` (or `class`) | required |
| `group`, `split`, `clip_id` | may be absent; the clip id is the path then |

Hugging Face's `audiofolder` layout (`metadata.csv` with `file_name` and `label`) is such a table.
"""

import collections
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

from extraction.datasets.base import Columns, DatasetInfo, Recording
from extraction.datasets.layout import clip_id_below, read_table, require_folder, subfolders
from jfewshot.audio import AUDIO_SUFFIXES, sound_below
from jfewshot.errors import UserError
from jfewshot.files import files_below

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ClassFolders:
    """Class: the folder right below the root. Group: the next folder, where there is one."""

    info: DatasetInfo

    def recordings(self, root: Path) -> list[Recording]:
        """Every audio file below a class folder, in the order of clip ids."""
        if not root.is_dir():
            raise UserError(f"{root} is not a folder; it should hold one folder per class")
        found, without = [], {}
        for folder in subfolders(root):
            files = sound_below(folder)
            found += [Recording(clip_id_below(root, path), path, folder.name, _group(folder, path)) for path in files]
            if not files:
                without[folder.name] = collections.Counter(path.suffix or "no ending" for path in files_below(folder))
        if not found:
            raise UserError(f"{root} holds no audio files in folders; it should look like {root}/<class>/<clip>.wav")
        if without:
            endings = {
                name: ", ".join(f"{n} {ending}" for ending, n in seen.most_common(3)) for name, seen in without.items()
            }
            items = [f"{name} ({seen or 'empty'})" for name, seen in endings.items()]
            logger.warning(
                "%s: %d folders hold no audio and make no class: %s. Audio is what ends in %s",
                root,
                len(without),
                "; ".join(items[:10]) + (f"; and {len(items) - 10} more" if len(items) > 10 else ""),
                ", ".join(AUDIO_SUFFIXES),
            )
        return sorted(found, key=lambda recording: recording.clip_id)


@dataclasses.dataclass(frozen=True)
class Table:
    """Clips, labels and groups from a table.

    Attributes:
      info: named after the file.
      path: CSV (`.csv`), tab-separated (`.tsv`) or Parquet (`.parquet`).
      columns: which hold what, where they are not called so.
    """

    info: DatasetInfo
    path: Path
    columns: Columns

    def recordings(self, root: Path) -> list[Recording]:
        """Every row, in the order of clip ids; a row whose file is not there is marked."""
        require_folder(root, self.info)
        rows = _rows(self.path)
        if not rows:
            raise UserError(f"{self.path} has no rows")
        named = self.columns
        path_column = _column(self.path, rows[0], *([named.audio] if named.audio else ["path", "file_name"]))
        label_column = _column(self.path, rows[0], *([named.label] if named.label else ["label", "class"]))
        group_column = _column(self.path, rows[0], named.group) if named.group else "group"
        split_column = _column(self.path, rows[0], named.split) if named.split else "split"
        found = []
        for row in rows:
            path = root / row[path_column]
            found.append(
                Recording(
                    clip_id=row.get("clip_id") or Path(row[path_column]).as_posix(),
                    path=path,
                    label=row[label_column],
                    group=row.get(group_column) or "",
                    split=row.get(split_column) or "",
                    left_out="" if path.is_file() else "file is missing",
                )
            )
        return sorted(found, key=lambda recording: recording.clip_id)


def class_folders(name: str, columns: Columns) -> ClassFolders:
    """A folder of class folders, under a name of the user's choice; it has no columns."""
    if not name:
        raise UserError("a folder of class folders needs a name: folder:birds, say")
    return ClassFolders(DatasetInfo(name, name, "", "", ""))


def table(path: str, columns: Columns) -> Table:
    """The clips of a table; the store is named after the file."""
    return Table(DatasetInfo(Path(path).stem, Path(path).stem, "", "", "", group_is="group"), Path(path), columns)


def _group(folder: Path, path: Path) -> str:
    below = path.relative_to(folder).parts
    return below[0] if len(below) > 1 else ""


def _rows(path: Path) -> Sequence[dict[str, str]]:
    if path.suffix == ".parquet":
        try:
            from pyarrow import parquet
        except ModuleNotFoundError as error:
            raise UserError(
                f"reading {path} needs the Python package pyarrow: pip install pyarrow, or give a CSV"
            ) from error
        if not path.is_file():
            raise UserError(f"{path} does not exist")
        return [
            {name: "" if value is None else str(value) for name, value in row.items()}
            for row in parquet.read_table(path).to_pylist()
        ]
    return read_table(path, (), "\t" if path.suffix == ".tsv" else ",")


def _column(path: Path, row: dict[str, str], *names: str) -> str:
    for name in names:
        if name in row:
            return name
    raise UserError(
        f"{path} has no column {' or '.join(names)}; it has {', '.join(row)}. Name the right one, say --column.label"
    )
