"""Tables and archives that hold embeddings and labels: the names of their columns, and which columns are embeddings."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.json_values import decode_json
from jfewshot.store.containers.rows import FACTS

# The columns of a store, and other programs' names for them.
NAMES: dict[str, tuple[str, ...]] = {
    "class": ("class", "label", "labels", "y", "target"),
    "clip_id": ("clip_id", "path", "file_name", "filename", "file"),
    "group": ("group",),
    "split": ("split",),
}
_DEFAULT_VIEW = "last.mean"


@dataclasses.dataclass(frozen=True)
class Table:
    """The contents of a table or an archive that a store needs.

    Attributes:
      columns: columns by the store's names (class, clip_id, group, split) and the user's names, with one value per row.
      views: embeddings by the names of views, rows x dim.
      facts: facts about an exported store; empty for other files.
    """

    columns: dict[str, list[Any]]
    views: dict[str, np.ndarray]
    facts: dict[str, Any]


def facts_of(path: Path, text: bytes | str | None) -> dict[str, Any]:
    """The facts that an exported store keeps about itself.

    Args:
      path: path of the file, for messages.
      text: the facts in JSON; None for a file of another program.

    Returns:
      the facts; empty for a file of another program.

    Raises:
      UserError: if they are damaged.
    """
    if text is None:
        return {}
    try:
        facts = decode_json(text.encode() if isinstance(text, str) else text)
    except UserError as error:
        raise UserError(f"{path} was exported from a store, and what it says of itself is damaged ({error})") from error
    if not isinstance(facts, dict) or not all(isinstance(facts.get(what), dict) for what in ("dataset", "upstream")):
        raise UserError(f"{path} was exported from a store, and does not say which dataset and upstream it is of")
    return {name: facts[name] for name in FACTS if name in facts}


def exported_columns(names: Iterable[str]) -> list[str]:
    """The further columns among those of an exported table."""
    own = {"clip_id", "class", "group", "split", "segment"}
    return [name for name in names if name not in own]


def view_names(path: Path, found: Sequence[str], everything: Iterable[str], asked: Sequence[str]) -> dict[str, str]:
    """Map names of views to names in the container.

    Args:
      path: path of the container, for messages.
      found: names of the columns or arrays that can be embeddings.
      everything: names of all columns or arrays of the container.
      asked: names that the user gave; none means all that can be embeddings.

    Returns:
      for each view, the name in the container.

    Raises:
      UserError: if there are no embeddings, if a requested name is not an embedding, or if several names are not valid
          names of views.
    """
    for name in asked:
        if name not in found:
            raise UserError(f"{path} has no embeddings '{name}'; it has {', '.join(found) or 'none'}")
    names = list(asked) or list(found)
    if not names:
        raise UserError(
            f"{path} holds no embeddings: lists of floating-point numbers in a table, arrays of segments x dim in an archive. It "
            f"has {', '.join(everything) or 'nothing'}"
        )
    if len(names) == 1 and not _is_view(names[0]):
        return {_DEFAULT_VIEW: names[0]}
    unnamed = [name for name in names if not _is_view(name)]
    if unnamed:
        raise UserError(
            f"{path} has several embeddings: {', '.join(names)}. Name one with --embeddings, or call them LAYER.POOLING "
            f"(last.mean), as views are called; '{unnamed[0]}' is not"
        )
    return {name: name for name in names}


def _is_view(name: str) -> bool:
    layer, dot, pooling = name.rpartition(".")
    return bool(layer and dot and pooling)


def column_names(path: Path, there: Sequence[str], further: Sequence[str], exported: Sequence[str]) -> dict[str, str]:
    """Map a store's names of columns to the names in the container.

    Args:
      path: path of the container, for messages.
      there: names of its columns.
      further: names of further columns that the user gave.
      exported: names of the further columns of an exported store.

    Returns:
      for each column of the store, the name in the container.

    Raises:
      UserError: if there is no column of classes, or a further column does not exist.
    """
    wanted = {}
    for own, names in NAMES.items():
        found = next((name for name in names if name in there), None)
        if found is not None:
            wanted[own] = found
    if "class" not in wanted:
        raise UserError(f"{path} has no column 'class' (or {', '.join(NAMES['class'][1:])}); it has {', '.join(there)}")
    for name in (*further, *exported):
        if name not in there:
            raise UserError(f"{path} has no column '{name}', which --columns names; it has {', '.join(there)}")
        if name not in wanted.values():
            wanted[name] = name
    return wanted


def runs_of_clips(container: Path, table: Mapping[str, Sequence[Any]]) -> tuple[list[int], list[int]]:
    """The first row of each clip, and its number of rows; the rows of a clip must be consecutive.

    Args:
      container: the container, for messages.
      table: columns by the store's names.

    Returns:
      first rows and counts, one per clip.

    Raises:
      UserError: if a clip's rows are not consecutive, or differ in class, group, split or a further column.
    """
    n_rows = len(table["class"])
    if "clip_id" not in table:
        return list(range(n_rows)), [1] * n_rows
    ids = [str(value) for value in table["clip_id"]]
    first = [row for row in range(n_rows) if row == 0 or ids[row] != ids[row - 1]]
    if len({ids[row] for row in first}) < len(first):
        runs = collections.Counter(ids[row] for row in first)
        apart = next(name for name, count in runs.items() if count > 1)
        raise UserError(f"{container}: the rows of clip '{apart}' do not follow each other; sort the file by clip")
    counts = np.diff([*first, n_rows]).tolist()
    for name, values in table.items():
        for row, count in zip(first, counts, strict=True):
            if count > 1 and any(values[row + more] != values[row] for more in range(1, count)):
                raise UserError(f"{container}: rows of clip '{ids[row]}' differ in {name}; a clip has one {name}")
    return first, counts
