"""Read a publisher's folder: find tables and audio files, and say how the folder must look if something is missing."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from extraction.datasets.base import Dataset, DatasetInfo
from jfewshot.audio import sound_below
from jfewshot.errors import UserError
from jfewshot.files.tables import Row
from jfewshot.files.tables import read_table as rows_of

_FIX = "the dataset's page in docs/datasets shows what the table must hold"


def folder_of(dataset: Dataset, root: Path, *, alone: bool) -> Path | None:
    """Find the folder of a dataset's recordings.

    Args:
      dataset: the dataset. A dataset with the attribute `own_root` determines the folder itself.
      root: the folder that the user gave as `--root`.
      alone: whether `root` may be the dataset's own folder, which is allowed if the user requests no other dataset.

    Returns:
      the folder, or None if `root` has no folder for this dataset.
    """
    own = getattr(dataset, "own_root", None)
    if own is not None:
        return own
    below = root / dataset.info.name
    annotations = getattr(dataset, "annotation_folder", None)
    # The folder of annotations has the dataset's name, and may be inside the folder of recordings.
    only_annotations = annotations is not None and below.resolve() == annotations.resolve() and not sound_below(below)
    if below.is_dir() and not (alone and only_annotations):
        return below
    return root if alone else None


def require_folder(root: Path, info: DatasetInfo, *needed: str) -> None:
    """Refuse a folder in which files or folders of the dataset are missing.

    Args:
      root: folder of the dataset.
      info: the dataset, for the message.
      *needed: paths that must exist, relative to `root`.

    Raises:
      UserError: if something is missing; the message names what is missing and the page that shows the layout.
    """
    missing = [name for name in needed if not (root / name).exists()]
    if not root.is_dir() or missing:
        what = "is not a folder" if not root.is_dir() else f"lacks {', '.join(missing)}"
        raise UserError(
            f"{root} {what}: it should be {info.title} as published ({info.source}); "
            f"docs/datasets/{info.name}.md shows how the folder must look"
        )


def read_table(path: Path, columns: Sequence[str], delimiter: str = ",", quoting: bool = True) -> list[Row]:
    """Read the rows of a text table with a header; see `jfewshot.files.tables.read_table`.

    Args:
      path: file of the table.
      columns: names of the columns that the table must have.
      delimiter: character between two columns.
      quoting: whether quotes enclose fields, as in CSV.

    Returns:
      one dict for each row, from the column's name to the text.

    Raises:
      UserError: if the file is missing or lacks one of `columns`.
    """
    return rows_of(path, columns, _FIX, delimiter, quoting)


def require_package(module: str, distribution: str, path: Path, extra: str) -> ModuleType:
    """Import a package that reads a file. It is imported only when such a file is read.

    Args:
      module: name of the module to import.
      distribution: name of the package for pip.
      path: the file, for the message.
      extra: extra of jfewshot that installs the package.

    Returns:
      the module.

    Raises:
      UserError: if the package, or one that it needs, is missing; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f"reading {path} needs the Python package {distribution}: pip install {distribution}, or "
            f"pip install 'jfewshot[{extra}]' (not found: {error.name})"
        ) from error


def name_below(root: Path, path: Path, otherwise: str) -> str:
    """Make a name for a recording that is the same on every machine.

    Args:
      root: folder of the recordings.
      path: the recording, which may be outside this folder.
      otherwise: the name for a recording outside the folder.

    Returns:
      the path relative to the folder, with forward slashes.
    """
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return otherwise


def clip_id_below(root: Path, path: Path) -> str:
    """The path relative to the dataset's folder, with forward slashes on every operating system."""
    return path.relative_to(root).as_posix()


def subfolders(root: Path) -> list[Path]:
    """Folders directly in `root`, without hidden ones, in the order of their names."""
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
