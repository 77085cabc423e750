"""A table of paths and labels: `table:PATH`, a CSV, TSV, JSON lines or Parquet file.

| column | |
|---|---|
| `path` (or `file_name`) | the audio file, relative to ROOT; required |
| `label` (or `class`) | required |
| `group`, `split`, `clip_id` | may be absent; the clip id is the path then |

Other names are given with --column.label and so on. Hugging Face's `audiofolder` layout (`metadata.csv` or `metadata.jsonl` with
`file_name` and `label`) is such a table.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

from extraction.datasets.base import Columns, DatasetInfo, Recording
from extraction.datasets.layout import read_table, require_folder
from jfewshot.errors import UserError
from jfewshot.files import files_below
from jfewshot.files.parquet import SUFFIXES as PARQUET
from jfewshot.files.parquet import read_parquet
from jfewshot.files.tables import Row, near_name


@dataclasses.dataclass(frozen=True)
class Table:
    """Clips, labels and groups from a table.

    Attributes:
      info: named after the file.
      path: CSV, tab-separated (`.tsv`), JSON lines (`.jsonl`) or Parquet (`.parquet`).
      columns: which hold what, where they are not called so.
    """

    info: DatasetInfo
    path: Path
    columns: Columns

    def recordings(self, root: Path) -> list[Recording]:
        """Every row, in the order of clip ids; a row whose file is not there is marked.

        Args:
          root: folder that the paths are relative to.

        Raises:
          UserError: a table that cannot be read, a column that is not there or holds lists, or no file of those that are named.
        """
        require_folder(root, self.info)
        rows = _rows(self.path)
        if not rows:
            raise UserError(f"{self.path} has no rows")
        names = {
            "audio": _column(self.path, rows[0], "audio", self.columns.audio, "path", "file_name"),
            "label": _column(self.path, rows[0], "label", self.columns.label, "label", "class"),
            "group": self._optional(rows[0], "group"),
            "split": self._optional(rows[0], "split"),
            "clip_id": "clip_id" if "clip_id" in rows[0] else None,
        }
        found = []
        for row in rows:
            cells = {what: _cell(self.path, row, name, what) if name else "" for what, name in names.items()}
            if not cells["audio"]:
                raise UserError(
                    f"{self.path}: line {row.line} has no {names['audio']}; name the file, or remove the line"
                )
            path = root / cells["audio"]
            clip_id = cells["clip_id"] or Path(cells["audio"]).as_posix()
            missing = "" if path.is_file() else "file is missing"
            found.append(Recording(clip_id, path, cells["label"], cells["group"], cells["split"], missing))
        if all(recording.left_out for recording in found):
            first = _cell(self.path, rows[0], str(names["audio"]), "audio")
            raise UserError(
                f"none of the {len(found)} files that {self.path} names is below {root}, the first: '{first}'"
                + _why_missing(first, root, self.path.parent)
            )
        return sorted(found, key=lambda recording: recording.clip_id)

    def _optional(self, row: Row, what: str) -> str | None:
        asked = getattr(self.columns, what)
        if asked:
            return _column(self.path, row, what, asked)
        if what not in row and (twin := near_name(what, list(row))) is not None:
            raise UserError(f"{self.path} has a column {twin!r}; rename it to {what}, or pass --column.{what} {twin!r}")
        return what if what in row else None


def table(path: str, columns: Columns) -> Table:
    """The clips of a table; the store is named after the file.

    Args:
      path: the table.
      columns: which columns hold what.
    """
    return Table(DatasetInfo(Path(path).stem, Path(path).stem, "", "", "", group_is="group"), Path(path), columns)


def _rows(path: Path) -> Sequence[Row]:
    if path.suffix.lower() in PARQUET:
        return read_parquet(path)
    return read_table(path, (), "\t" if path.suffix.lower() == ".tsv" else ",")


def _column(path: Path, row: Row, what: str, asked: str | None, *usual: str) -> str:
    wanted = [asked] if asked else list(usual)
    there = next((name for name in wanted if name in row), None)
    if there is not None:
        return there
    twin = next(filter(None, (near_name(name, list(row)) for name in wanted)), None)
    hint = "" if twin is None else f" Did you mean {twin!r}?"
    raise UserError(
        f"{path} has no column {' or '.join(wanted)}; it has {', '.join(row)}.{hint} Name the right one with --column.{what} NAME"
    )


def _cell(path: Path, row: Row, column: str, what: str) -> str:
    """A cell as text.

    Raises:
      UserError: for a list, an object or bytes; says what to do about the kind.
    """
    if column not in row.nested:
        return row[column]
    kind = row[column][:60]
    if what == "audio":
        raise UserError(
            f"{path}: column '{column}' holds the audio itself ({kind}), not paths. Save it once with Hugging Face's package and "
            f"give hf:FOLDER: datasets.load_dataset('parquet', data_files='{path.name}')['train'].save_to_disk('FOLDER')"
        )
    raise several_values(f"{path}, line {row.line}", column, kind, what)


def several_values(where: str, column: str, value: object, what: str) -> UserError:
    """The refusal of a cell that holds a list where one name is needed.

    Args:
      where: the file or folder.
      column: name of the column.
      value: the cell.
      what: what the column is for: label, group, split.

    Returns:
      the error to raise.
    """
    return UserError(
        f"{where}: column '{column}' is a list ({str(value)[:60]}: several values per clip); an episode needs one {what} for "
        f"each clip: name another column with --column.{what}"
    )


def _why_missing(name: str, root: Path, beside: Path) -> str:
    """The likely fix where no file of a table is there."""
    forward = PureWindowsPath(name).as_posix()
    if "\\" in name and (root / forward).is_file():
        return f". The path has backslashes, and '{forward}' is there: write / in the table"
    if (beside / name).is_file():
        return f". It is there relative to the table's own folder: pass --root {beside}"
    last = PureWindowsPath(name).name
    below = next(
        (path for path in files_below(root) if last in (path.name, path.stem) or path.name == last.lower()), None
    )
    if below is not None:
        return f". '{below.relative_to(root).as_posix()}' is there: write the paths relative to --root {root}"
    if "\\" in name:
        return ". The path has backslashes: write / in the table, and paths relative to --root"
    return ". Paths are relative to --root: name the folder that holds them"
