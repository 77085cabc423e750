"""Check the names of further columns of a clip table (site, microphone, language)."""

from collections.abc import Mapping, Sequence

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.tables import near_name


def check_columns(columns: Mapping[str, np.ndarray], n_clips: int, taken: Sequence[str]) -> None:
    """Refuse further columns with an invalid or used name, or without exactly one value per clip.

    Args:
      columns: the columns by name.
      n_clips: number of clips.
      taken: names of the columns that every table has.

    Raises:
      UserError: naming the column.
    """
    for name, column in columns.items():
        if fault := column_name_fault(name, list(columns), taken):
            raise UserError(f"clip table: a further column cannot be called {name!r}: {fault}; rename it")
        if len(column) != n_clips:
            raise UserError(f"clip table: {len(column)} values of {name} for {n_clips} clips; give one per clip")


def column_name_fault(name: str, names: Sequence[str], taken: Sequence[str]) -> str:
    """The reason why a further column may not have a name.

    Args:
      name: name of the column.
      names: names of all further columns, including this one.
      taken: names of the columns that every table has.

    Returns:
      the reason; empty if the name may be used.
    """
    if not name or name != name.strip() or any(character in name for character in "=!"):
        return "a name is a text without '=', '!' and outer spaces"
    twin = near_name(name, [*taken, *(other for other in names if other != name)])
    return f"the table has a column '{twin}' already" if twin is not None else ""
