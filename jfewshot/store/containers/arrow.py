"""Arrow tables: Parquet and Feather files, and folders that Hugging Face's `datasets` saved.

A folder of `dataset.save_to_disk(FOLDER)` is read with pyarrow alone:

    FOLDER/
      dataset_info.json, state.json, data-00000-of-00002.arrow ...       a Dataset, or
      dataset_dict.json, train/..., test/...                             a DatasetDict: each part is a split

Rows without ids get the names that `jfewshot extract --datasets hf:FOLDER` gives them, so that both make the same
clips. Classes of `datasets` (ClassLabel), there and in Parquet files, become their names.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.json_values import decode_json
from jfewshot.files.not_tables import LFS_FIX, is_lfs_pointer
from jfewshot.files.parquet import need_pyarrow
from jfewshot.store.containers.rows import KEY
from jfewshot.store.containers.tables import Table, column_names, exported_columns, facts_of, view_names

# Names of splits, and the names that jfewshot uses for them.
_SPLITS = {"valid": "validation", "dev": "validation"}
_FEATURES = b"huggingface"  # key under which `datasets` stores its types in a file's schema


def read_parquet(path: Path, embeddings: Sequence[str], columns: Sequence[str]) -> Table:
    """Embeddings and labels of a Parquet file, whose rows are segments.

    Args:
      path: of the file.
      embeddings: names of columns that are embeddings; none means all that can be.
      columns: names of further columns.

    Returns:
      columns, views and facts.

    Raises:
      UserError: if pyarrow is not installed, the file is damaged, or has no labels or embeddings.
    """
    pyarrow, parquet = need_pyarrow(f"reading {path}")
    with _one_line(path, pyarrow, "Parquet file"), parquet.ParquetFile(path) as file:
        return _of_columns(path, pyarrow, file.schema_arrow, file.read, {}, embeddings, columns)


def read_feather(path: Path, embeddings: Sequence[str], columns: Sequence[str]) -> Table:
    """Embeddings and labels of a Feather (Arrow IPC) file, as pandas, polars and pyarrow write.

    Args:
      path: of the file.
      embeddings: names of columns that are embeddings; none means all that can be.
      columns: names of further columns.

    Returns:
      columns, views and facts.

    Raises:
      UserError: if pyarrow is not installed, the file is damaged, or has no labels or embeddings.
    """
    pyarrow, _ = need_pyarrow(f"reading {path}")
    with _one_line(path, pyarrow, "Feather or Arrow file"):
        table = _opened(pyarrow, path)
        return _of_columns(path, pyarrow, table.schema, table.select, {}, embeddings, columns)


def read_hf(folder: Path, embeddings: Sequence[str], columns: Sequence[str]) -> Table:
    """Embeddings and labels of a folder that `datasets` saved.

    Args:
      folder: of a Dataset or of a DatasetDict.
      embeddings: names of columns that are embeddings; none means all that can be.
      columns: names of further columns.

    Returns:
      columns, views and facts; the parts of a DatasetDict are splits if there is no column `split`.

    Raises:
      UserError: if pyarrow is not installed, the folder is damaged, or has no labels or embeddings.
    """
    pyarrow, _ = need_pyarrow(f"reading {folder}")
    found = [_part(pyarrow, split, place, embeddings, columns) for split, place in _parts(folder)]
    first = found[0]
    for other in found[1:]:
        if other.columns.keys() != first.columns.keys() or other.views.keys() != first.views.keys():
            raise UserError(
                f"{folder}: its splits differ in columns: {', '.join([*first.columns, *first.views])}, and "
                f"{', '.join([*other.columns, *other.views])}"
            )
        if any(other.views[name].shape[1] != view.shape[1] for name, view in first.views.items()):
            raise UserError(f"{folder}: the embeddings of its splits are not all of one length")
    if len(found) == 1:
        return first
    return Table(
        {name: [value for one in found for value in one.columns[name]] for name in first.columns},
        {name: np.concatenate([one.views[name] for one in found]) for name in first.views},
        first.facts,
    )


def _part(pyarrow: Any, split: str, folder: Path, embeddings: Sequence[str], columns: Sequence[str]) -> Table:
    files = _json(folder / "state.json").get("_data_files")
    if (
        not isinstance(files, list)
        or not files
        or not all(isinstance(one, dict) and "filename" in one for one in files)
    ):
        raise UserError(f"{folder / 'state.json'} names no files of data; save the dataset again with save_to_disk")
    features = _json(folder / "dataset_info.json").get("features")
    tables = []
    for one in files:
        path = folder / str(one["filename"])
        with _one_line(path, pyarrow, "Arrow file of `datasets`"):
            tables.append(_opened(pyarrow, path))
    with _one_line(folder, pyarrow, "dataset"):
        table = pyarrow.concat_tables(tables)
        features = features if isinstance(features, dict) else {}
        found = _of_columns(folder, pyarrow, table.schema, table.select, features, embeddings, columns)
    n_rows = len(table)
    if "clip_id" not in found.columns:
        found.columns["clip_id"] = [f"{split}/{row:08d}" if split else f"{row:08d}" for row in range(n_rows)]
    if split and "split" not in found.columns:
        found.columns["split"] = [_SPLITS.get(split, split)] * n_rows
    return found


def _parts(folder: Path) -> list[tuple[str, Path]]:
    """Split and folder of each Dataset."""
    if (folder / "dataset_dict.json").is_file():
        splits = _json(folder / "dataset_dict.json").get("splits")
        if not isinstance(splits, list) or not splits:
            raise UserError(f"{folder / 'dataset_dict.json'} names no splits; save the dataset again with save_to_disk")
        return [(str(split), folder / str(split)) for split in splits]
    if not (folder / "state.json").is_file():
        raise UserError(
            f"{folder} has neither state.json nor dataset_dict.json: name a folder that save_to_disk of `datasets` wrote"
        )
    return [("", folder)]


def _json(path: Path) -> dict[str, Any]:
    try:
        value = decode_json(path.read_bytes())
    except (OSError, UserError) as error:
        raise UserError(f"{path} cannot be read ({error}); save the dataset again with save_to_disk") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is no JSON object; save the dataset again with save_to_disk")
    return value


def _opened(pyarrow: Any, path: Path) -> Any:
    """The table in an Arrow file of either of the two formats, memory-mapped."""
    with open(path, "rb") as start:
        is_file = start.read(6) == b"ARROW1"
    source = pyarrow.memory_map(str(path))
    opened = pyarrow.ipc.open_file(source) if is_file else pyarrow.ipc.open_stream(source)
    table = opened.read_all()
    # Without this check, lengths and offsets of the file are trusted, and those of a damaged file point outside the
    # memory.
    table.validate(full=True)
    return table


@contextlib.contextmanager
def _one_line(path: Path, pyarrow: Any, what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pyarrow.ArrowException) as error:
        why = (
            LFS_FIX
            if path.is_file() and is_lfs_pointer(path)
            else (str(error).splitlines() or ["it is empty"])[0][:200]
        )
        raise UserError(f"{path} is not a whole {what}: {why}") from error


def _of_columns(
    path: Path,
    pyarrow: Any,
    schema: Any,
    read: Callable[[list[str]], Any],
    features: Mapping[str, Any],
    embeddings: Sequence[str],
    columns: Sequence[str],
) -> Table:
    metadata = schema.metadata or {}
    facts = facts_of(path, metadata.get(KEY))
    features = features or _features(metadata.get(_FEATURES))
    lists = [field.name for field in schema if _is_embedding(pyarrow, field.type)]
    plain = [name for name in schema.names if not pyarrow.types.is_nested(schema.field(name).type)]
    views = view_names(path, lists, schema.names, embeddings)
    wanted = column_names(path, plain, columns, exported_columns(plain) if facts else ())
    table = read(list(dict.fromkeys(wanted.values()))).to_pydict()
    taken = {name: _with_names(path, features.get(column), table[column]) for name, column in wanted.items()}
    return Table(
        taken, {view: _numbers(path, pyarrow, read([name]).column(0), name) for view, name in views.items()}, facts
    )


def _features(text: bytes | None) -> dict[str, Any]:
    """The types of `datasets` in a file's schema; empty if there are none."""
    try:
        found = decode_json(text or b"{}")
    except UserError:
        return {}
    info = found.get("info") if isinstance(found, dict) else None
    features = info.get("features") if isinstance(info, dict) else None
    return features if isinstance(features, dict) else {}


def _with_names(path: Path, feature: Any, values: list[Any]) -> list[Any]:
    """Convert class numbers to names; negative numbers, which `datasets` writes for a missing class, and None are missing."""
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel" or not feature.get("names"):
        return values
    names = feature["names"]
    for value in values:
        if not (value is None or (isinstance(value, int) and value < len(names))):
            raise UserError(f"{path}: a class is {str(value)[:40]}, and {len(names)} classes have names")
    return [None if value is None or value < 0 else str(names[value]) for value in values]


def _is_embedding(pyarrow: Any, kind: Any) -> bool:
    types = pyarrow.types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return is_list and types.is_floating(kind.value_type)


def _numbers(path: Path, pyarrow: Any, column: Any, name: str) -> np.ndarray:
    if column.null_count:
        raise UserError(f"{path}: {column.null_count} cells of '{name}' are empty; leave these rows out")
    parts = []
    for chunk in column.chunks:
        if not len(chunk):
            continue
        values = chunk.flatten()
        dim = len(values) // len(chunk)
        if values.null_count or (
            not pyarrow.types.is_fixed_size_list(chunk.type)
            and (len(values) != dim * len(chunk) or set(chunk.value_lengths().unique().to_pylist()) != {dim})
        ):
            raise UserError(f"{path}: the lists in '{name}' are not all of one length, or have gaps")
        parts.append(values.to_numpy(zero_copy_only=False).reshape(len(chunk), dim))
    if not parts or len({part.shape[1] for part in parts}) != 1:
        raise UserError(f"{path}: the lists in '{name}' are not all of one length, or there are none")
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
