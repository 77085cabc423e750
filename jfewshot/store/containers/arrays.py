"""Archives of named arrays: .npz files of NumPy, and groups of Zarr."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.arrays import read_npz as arrays_of
from jfewshot.store.containers.rows import NPZ_COLUMN, NPZ_FACTS
from jfewshot.store.containers.tables import Table, column_names, facts_of, view_names


def read_npz(path: Path, embeddings: Sequence[str], columns: Sequence[str]) -> Table:
    """Read embeddings and labels of an .npz file.

    Args:
      path: the file.
      embeddings: names of arrays that are embeddings; none means all that can be.
      columns: names of further columns.

    Returns:
      columns, views and facts.

    Raises:
      UserError: if the file is damaged, or has no labels or embeddings.
    """
    try:
        arrays = arrays_of(path)
    except UserError as error:
        raise UserError(f"{path} is not a whole .npz file: {error}") from error
    stated = arrays.pop(NPZ_FACTS, None)
    return _of_arrays(path, arrays, facts_of(path, None if stated is None else str(stated)), embeddings, columns)


def read_zarr(path: Path, embeddings: Sequence[str], columns: Sequence[str]) -> Table:
    """Read embeddings and labels of a Zarr group, of format 2 or 3.

    Args:
      path: the group, which is a folder or a .zip file.
      embeddings: names of arrays that are embeddings; none means all that can be.
      columns: names of further columns.

    Returns:
      columns, views and facts.

    Raises:
      UserError: if zarr is not installed, the group is damaged, or has no labels or embeddings.
    """
    try:
        import zarr
        import zarr.storage
    except ModuleNotFoundError as error:
        raise UserError(f"reading {path} needs the Python package zarr: pip install 'jfewshot[zarr]'") from error
    try:
        place = zarr.storage.ZipStore(path, mode="r") if path.is_file() else path
        group = zarr.open_group(place, mode="r")
        arrays: dict[str, Any] = {str(name): array for name, array in group.arrays() if array.ndim in (1, 2)}
        # Labels are read here, where a damaged chunk can be named; only the wanted embeddings are read below.
        arrays = {name: _read(array) if array.ndim == 1 else array for name, array in arrays.items()}
        return _of_arrays(path, arrays, {}, embeddings, columns)
    except UserError:
        raise
    except Exception as error:  # any error of zarr, its codecs or its JSON
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} is not a whole group of Zarr (zarr says: {reason}); write it again") from error


def _read(array: Any) -> np.ndarray:
    values = np.asarray(array[...])
    return values.astype(object) if values.dtype.kind == "T" else values


def _of_arrays(
    path: Path, arrays: Mapping[str, Any], facts: dict[str, Any], embeddings: Sequence[str], columns: Sequence[str]
) -> Table:
    arrays = dict(arrays)
    counts = arrays.pop("n_segments", None)
    matrices = [name for name, array in arrays.items() if array.ndim == 2 and np.dtype(array.dtype).kind == "f"]
    lines = [name for name, array in arrays.items() if array.ndim == 1]
    views = view_names(path, matrices, arrays, embeddings)
    exported = [name for name in lines if name.startswith(NPZ_COLUMN)]
    asked = [f"{NPZ_COLUMN}{name}" if f"{NPZ_COLUMN}{name}" in lines else name for name in columns]
    wanted = column_names(path, lines, asked, exported)
    table = {name.removeprefix(NPZ_COLUMN): arrays[column].tolist() for name, column in wanted.items()}
    if counts is not None:
        if counts.shape != (len(table["class"]),) or counts.dtype.kind not in "iu" or (counts < 1).any():
            raise UserError(
                f"{path}: n_segments must have a whole number from 1 on for each of its {len(table['class'])} clips"
            )
        table = {
            name: [value for value, n in zip(values, counts, strict=True) for _ in range(n)]
            for name, values in table.items()
        }
        if "clip_id" not in table:
            table["clip_id"] = np.repeat([f"{number:06d}" for number in range(len(counts))], counts).tolist()
    found = {view: np.asarray(arrays[name][...]) for view, name in views.items()}
    for view, name in views.items():
        if len(found[view]) != len(table["class"]):
            raise UserError(
                f"{path}: '{name}' has {len(found[view])} rows for {len(table['class'])} labels; give one label per row"
            )
    for name, values in table.items():
        if len(values) != len(table["class"]):
            raise UserError(
                f"{path}: {len(values)} values of {name} for {len(table['class'])} labels; give one of each per row"
            )
    return Table(table, found, facts)
