"""Parquet tables; needs pyarrow, which is imported when first used."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jfewshot.errors import UserError
from jfewshot.files.not_tables import LFS_FIX, is_lfs_pointer
from jfewshot.files.tables import Row

SUFFIXES = (".parquet", ".pq")


def need_pyarrow(what: str, instead: str = "") -> tuple[Any, Any]:
    """pyarrow and its module of Parquet.

    Args:
      what: the current action, for the message.
      instead: an alternative, for the message.

    Returns:
      the two modules.

    Raises:
      UserError: if it is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise UserError(f"{what} needs the Python package pyarrow: pip install pyarrow{instead}") from error
    return pyarrow, parquet


def read_parquet(path: Path, wanted: Callable[[Sequence[str]], Sequence[str]] = list) -> list[Row]:
    """The rows of a Parquet file as text; null and NaN are empty.

    Args:
      path: the file.
      wanted: from the names of all columns, those to read. Cells of lists, objects and bytes are not read: their text is their
        type, and `Row.nested` names their columns.

    Raises:
      UserError: if the file is missing or is not Parquet, or pyarrow is not installed.
    """
    pyarrow, parquet = need_pyarrow(f"reading {path}", ", or give a CSV")
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            columns = list(wanted(schema.names))
            nested = {name: schema.field(name).type for name in columns if _holds_more(schema.field(name).type)}
            values = file.read([name for name in columns if name not in nested]).to_pylist()
            n_rows = file.metadata.num_rows
    except (OSError, pyarrow.ArrowException) as error:
        why = LFS_FIX if is_lfs_pointer(path) else str(error).splitlines()[0][:200]
        raise UserError(f"{path} is not a whole Parquet file: {why}") from error
    rows = []
    for number in range(n_rows):
        row = Row.of_values({name: values[number][name] if name not in nested else "" for name in columns}, number + 1)
        row.update({name: str(kind) for name, kind in nested.items()})
        row.nested = tuple(nested)
        rows.append(row)
    return rows


def _holds_more(kind: object) -> bool:
    import pyarrow.types as types

    binary = types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    return binary or types.is_nested(kind)
