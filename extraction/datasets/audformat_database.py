"""A database in audformat: tables of files, or of stretches of files, with columns that follow the database's schemes.

    --datasets audformat:FOLDER --column.label emotion --column.group speaker

`--column.label`, `--column.group` and `--column.further` name schemes. Their values may also be in another table, for the file as
a whole. The package audformat reads the database; it is imported only when a database is read. Splits are the database's own.
Pickled copies of tables (`db.TABLE.pkl`) are never read, since reading them can run code.
"""

import contextlib
import dataclasses
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from extraction.datasets.base import Columns, DatasetInfo, Recording
from extraction.datasets.layout import require_folder, require_package
from extraction.datasets.own import stretch, without_doubles
from jfewshot.audio import AudioError, duration_s, sound_below
from jfewshot.errors import UserError

_HEADER = "db.yaml"
_PICKLE = ".pkl"
_SPLITS = {"dev": "validation"}  # other types of audformat's splits keep their names


@dataclasses.dataclass(frozen=True)
class AudformatDatabase:
    """The labelled files and stretches of a database.

    Attributes:
      info: facts about the dataset, which is named after the folder.
      folder: folder of the database.
      columns: names of the schemes for class, group and further columns.
    """

    info: DatasetInfo
    folder: Path
    columns: Columns

    @property
    def own_root(self) -> Path | None:
        """The folder of the database, if it contains the audio."""
        return self.folder if sound_below(self.folder) else None

    def recordings(self, root: Path) -> list[Recording]:
        """List all rows with a value of the label's scheme, in the order of clip ids; unusable ones are marked as left out."""
        require_folder(root, self.info)
        database = self._load()
        label = self.columns.label or self._only_scheme(database)
        others = list(dict.fromkeys(name for name in (self.columns.group, *self.columns.further) if name))
        for name in (label, *others):
            if name not in database.schemes:
                raise UserError(f"{self.folder} has no scheme {name}; it has {', '.join(database.schemes) or 'none'}")
        rows = self._get(database, label, others)
        split_of: dict[Any, str] = {}
        for split in database.splits:
            kind = database.splits[split].type
            split_of |= dict.fromkeys(self._get(database, label, [], [split]).index, _SPLITS.get(kind, kind))
        clips = []
        for key, row in zip(rows.index, rows.to_dict("records"), strict=True):
            clip = self._clip(root, key)
            value = _text(row[label])
            clips.append(
                dataclasses.replace(
                    clip,
                    label=value,
                    left_out=clip.left_out or ("" if value else f"has no {label}"),
                    group=_text(row[self.columns.group]) if self.columns.group else clip.group,
                    split=split_of.get(key, ""),
                    further=tuple((name, _text(row[name])) for name in self.columns.further),
                )
            )
        return without_doubles(clips)

    def _clip(self, root: Path, key: Any) -> Recording:
        """Make a clip, still without a class, of a row's file or stretch of a file."""
        file, start_s, end_s = (key, 0.0, None) if isinstance(key, str) else (key[0], *map(_seconds, key[1:]))
        path, name = root / file, Path(file).as_posix()
        if end_s is None and not start_s:
            return Recording(name, path, "", left_out="" if path.is_file() else "file is missing")
        if end_s is None:
            try:
                end_s = duration_s(path) if path.is_file() else start_s
            except AudioError as error:
                return Recording(name, path, "", left_out=str(error))
        return stretch(path=path, name=name, start_s=start_s or 0.0, end_s=end_s, label="")

    def _load(self) -> Any:
        audformat = require_package("audformat", "audformat", self.folder / _HEADER, "audformat")
        files = sorted(self.folder.glob(f"{Path(_HEADER).stem}.*"))
        pickled = [path for path in files if path.suffix == _PICKLE]
        for path in pickled:
            if not any(path.with_suffix(suffix) in files for suffix in (".csv", ".parquet")):
                raise UserError(
                    f"{path} is a pickled table, which can run code when it is read; get the database with tables in CSV or "
                    "Parquet, or, if you trust this table, write such tables: Database.save(FOLDER, storage_format='parquet')"
                )
        try:
            with _no_warnings(), tempfile.TemporaryDirectory() as beside:
                database = audformat.Database.load(str(self.folder), load_data=False)
                self._refuse_paths([*database.tables, *database.misc_tables])
                if not pickled:
                    return database
                # audformat prefers the pickled copy of a table. So it gets a folder of links without such copies.
                for path in set(files) - set(pickled):
                    (Path(beside) / path.name).symlink_to(path.absolute())
                return audformat.Database.load(beside, load_data=True)
        except UserError:
            raise
        except Exception as error:  # errors of the YAML parser, of pandas or of audformat
            raise self._refused(error) from error

    def _refuse_paths(self, tables: list[str]) -> None:
        """Refuse tables whose names contain a slash: the file name contains the table name, so it would be in another folder."""
        for name in tables:
            if "/" in name or "\\" in name:
                raise UserError(
                    f"{self.folder / _HEADER} names a table '{name}', whose file would be in another folder; give the table "
                    "a name without slashes"
                )

    def _get(self, database: Any, label: str, others: list[str], splits: list[str] | None = None) -> Any:
        try:
            with _no_warnings():
                return database.get(label, others, splits=splits, strict=False)
        except Exception as error:  # values that contradict each other or their schemes
            raise self._refused(error) from error

    def _only_scheme(self, database: Any) -> str:
        if len(database.schemes) != 1:
            raise UserError(
                f"{self.folder} has {len(database.schemes)} schemes ({', '.join(database.schemes)}); name the scheme of the "
                "class: --column.label"
            )
        return next(iter(database.schemes))

    def _refused(self, error: Exception) -> UserError:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return UserError(f"{self.folder} is no database that audformat reads: {reason}")


def audformat_database(folder: str, columns: Columns) -> AudformatDatabase:
    """A database in audformat.

    Args:
      folder: folder of the database, which contains its `db.yaml`.
      columns: names of the schemes for class, group and further columns.
    """
    path = Path(folder)
    if not (path / _HEADER).is_file():
        raise UserError(f"{path} has no file {_HEADER}; give the folder of a database in audformat")
    name = path.resolve().name
    info = DatasetInfo(name, name, "", "", "", group_is=columns.group or "recording")
    return AudformatDatabase(info, path, columns)


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    """Suppress warnings: audformat uses parts of pandas that pandas has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _seconds(time: Any) -> float | None:
    """Seconds of a pandas Timedelta; None for NaT."""
    return None if time != time else float(time.total_seconds())


def _text(value: Any) -> str:
    """A cell as text; empty for a missing value (None, NaN, pandas' NA)."""
    missing = value is None or type(value).__name__ == "NAType" or value != value
    return "" if missing else str(value)
