"""A store from what another program wrote: Parquet with lists of numbers, .npz, a database of windows."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.arrays import read_npz
from jfewshot.files.json_values import decode_json
from jfewshot.files.not_tables import LFS_FIX, is_lfs_pointer
from jfewshot.files.parquet import need_pyarrow
from jfewshot.store.containers.kinds import KINDS, OF_WINDOWS, check_kind
from jfewshot.store.containers.taking import Taking
from jfewshot.store.containers.windows import Annotate
from jfewshot.store.creating import create_store
from jfewshot.store.exporting import FACTS, KEY, NPZ_COLUMN, NPZ_FACTS
from jfewshot.store.reading import Store

# What a store takes, and what else other programs call it.
_NAMES: dict[str, tuple[str, ...]] = {
    "class": ("class", "label", "labels", "y", "target"),
    "clip_id": ("clip_id", "path", "file_name", "filename", "file"),
    "group": ("group",),
    "split": ("split",),
}
_DEFAULT_VIEW = "last.mean"


def import_store(
    path: Path | str,
    container: Path | str,
    *,
    dataset: str | Mapping[str, Any] | None = None,
    upstream: str | Mapping[str, Any] | None = None,
    kind: str | None = None,
    embeddings: Sequence[str] = (),
    columns: Sequence[str] = (),
    taking: Taking | None = None,
    annotations: Annotate | None = None,
    unlabelled: bool = False,
    replace: bool = False,
) -> Store:
    """Make a store of what another program wrote.

    Args:
      path: the folder to write.
      container: a Parquet file with a row per segment (or clip), embeddings as lists of numbers of one length; or an .npz file
        with arrays of segments x dim and one array of labels. Rows of one clip (equal `clip_id`) are its segments and follow
        each other; or the folder of a Hoplite database, whose windows become clips. What `export_store` wrote is taken as it is.
      dataset: its name, or a dict with `name` and more; None for what the file says, if it is an exported store, or for the name
        of a database's folder.
      upstream: the encoder's, likewise; None for what the file or the database says.
      kind: the container's, a name of `jfewshot.store.containers.kinds.KINDS`; None to tell it by what is there.
      embeddings: names of the columns (or arrays) that are embeddings; none means all that can be. One alone becomes the view
        `last.mean` where its name is not that of a view (`LAYER.POOLING`).
      columns: further columns to keep (site, microphone). Those of an exported store are always kept.
      taking: of windows of recordings, which become clips; None for all that have one label.
      annotations: from the names of a database's recordings to labelled stretches of them, which are taken in place of the labels
        in the database; None for those.
      unlabelled: keep clips without a class; they take part in no episode.
      replace: replace a store that stands at `path`.

    Returns:
      the finished store.

    Raises:
      UserError: if the file cannot be read as such, or has no labels or embeddings; naming what it has.
    """
    container = Path(container)
    kind = check_kind(container, kind)
    _refuse_unused(kind, embeddings, taking, annotations)
    if kind in OF_WINDOWS:
        from jfewshot.store.containers.databases import import_windows  # SQLite is loaded where it is needed

        return import_windows(
            path,
            container,
            dataset=dataset,
            upstream=upstream,
            columns=columns,
            taking=dataclasses.replace(taking or Taking(), unlabelled=unlabelled),
            annotations=annotations,
            replace=replace,
        )
    read = _read_parquet if kind == "parquet" else _read_npz
    table, views, facts = read(container, embeddings, columns)
    is_exported = bool(facts)
    names = {"dataset": dataset, "upstream": upstream}
    for what, given in names.items():
        if given is None and what not in facts:
            raise UserError(f"{container} does not say what its {what} is called; pass --{what} NAME ({what}=...)")
        known = facts.pop(what, {})
        names[what] = known if given is None else {**known, "name": given} if isinstance(given, str) else given
    # What a store holds without a class was kept on request.
    unlabelled = unlabelled or (is_exported and "" in table["class"])
    first, counts = _runs(container, table)
    taken = {name: [values[row] for row in first] for name, values in table.items()}
    return create_store(
        path,
        views,
        taken.pop("class"),
        dataset=names["dataset"] or "",
        upstream=names["upstream"] or "",
        clip_ids=taken.pop("clip_id", None),
        groups=taken.pop("group", None),
        splits=taken.pop("split", None),
        further=taken,
        n_segments=counts,
        unlabelled=unlabelled,
        replace=replace,
        **facts,
    )


def _refuse_unused(kind: str, embeddings: Sequence[str], taking: Taking | None, annotations: Annotate | None) -> None:
    """Refuse what this kind of container has no use for.

    Raises:
      UserError: naming the option.
    """
    if kind in OF_WINDOWS and embeddings:
        raise UserError(f"--embeddings is for tables and arrays; {KINDS[kind]} has one embedding for each window")
    if kind not in OF_WINDOWS and annotations is not None:
        raise UserError(
            f"--annotations labels windows of recordings, and {KINDS[kind]} has labels of its own; leave it out"
        )
    if kind not in OF_WINDOWS and taking is not None and taking != Taking():
        changed = next(
            field.name for field in dataclasses.fields(Taking) if getattr(taking, field.name) != field.default
        )
        raise UserError(
            f"--{changed.replace('_', '-')} is for windows of recordings, and {KINDS[kind]} holds clips; leave it out"
        )


def _runs(container: Path, table: Mapping[str, Sequence[Any]]) -> tuple[list[int], list[int]]:
    """The first row of each clip, and how many rows it has: rows of one clip id that follow each other.

    Raises:
      UserError: if a clip's rows are apart, or differ in class, group, split or a further column.
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


def _read_parquet(
    path: Path, embeddings: Sequence[str], columns: Sequence[str]
) -> tuple[dict[str, list[Any]], dict[str, np.ndarray], dict[str, Any]]:
    pyarrow, parquet = need_pyarrow(f"reading {path}")
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            facts = _facts(path, (schema.metadata or {}).get(KEY))
            lists = [field.name for field in schema if _is_embedding(pyarrow, field.type)]
            plain = [name for name in schema.names if not pyarrow.types.is_nested(schema.field(name).type)]
            views = _view_names(path, lists, schema.names, embeddings)
            wanted = _wanted(path, plain, columns, _exported_columns(plain) if facts else ())
            table = file.read(list(wanted.values())).to_pydict()
            arrays = {view: _numbers(path, pyarrow, file.read([name]).column(0), name) for view, name in views.items()}
    except (OSError, pyarrow.ArrowException) as error:
        why = LFS_FIX if is_lfs_pointer(path) else str(error).splitlines()[0][:200]
        raise UserError(f"{path} is not a whole Parquet file: {why}") from error
    return {name: table[column] for name, column in wanted.items()}, arrays, facts


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
    return np.concatenate(parts)


def _read_npz(
    path: Path, embeddings: Sequence[str], columns: Sequence[str]
) -> tuple[dict[str, list[Any]], dict[str, np.ndarray], dict[str, Any]]:
    try:
        arrays = read_npz(path)
    except UserError as error:
        raise UserError(f"{path} is not a whole .npz file: {error}") from error
    stated = arrays.pop(NPZ_FACTS, None)
    facts = _facts(path, None if stated is None else str(stated))
    counts = arrays.pop("n_segments", None)
    matrices = [name for name, array in arrays.items() if array.ndim == 2 and array.dtype.kind == "f"]
    lines = [name for name, array in arrays.items() if array.ndim == 1]
    views = _view_names(path, matrices, arrays, embeddings)
    exported = [name for name in lines if name.startswith(NPZ_COLUMN)]
    asked = [f"{NPZ_COLUMN}{name}" if f"{NPZ_COLUMN}{name}" in lines else name for name in columns]
    wanted = _wanted(path, lines, asked, exported)
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
    found = {view: arrays[name] for view, name in views.items()}
    for name, array in ((name, arrays[name]) for name in views.values()):
        if len(array) != len(table["class"]):
            raise UserError(
                f"{path}: '{name}' has {len(array)} rows for {len(table['class'])} labels; give one label per row"
            )
    return table, found, facts


def _facts(path: Path, text: bytes | str | None) -> dict[str, Any]:
    """What an exported store says of itself; nothing for other files."""
    if text is None:
        return {}
    try:
        facts = decode_json(text.encode() if isinstance(text, str) else text)
    except UserError as error:
        raise UserError(f"{path} was exported from a store, and what it says of itself is damaged ({error})") from error
    if not isinstance(facts, dict) or not all(isinstance(facts.get(what), dict) for what in ("dataset", "upstream")):
        raise UserError(f"{path} was exported from a store, and does not say which dataset and upstream it is of")
    return {name: facts[name] for name in FACTS if name in facts}


def _exported_columns(names: Iterable[str]) -> list[str]:
    own = {"clip_id", "class", "group", "split", "segment"}
    return [name for name in names if name not in own]


def _view_names(path: Path, found: Sequence[str], everything: Iterable[str], asked: Sequence[str]) -> dict[str, str]:
    """From names of views to names in the file.

    Raises:
      UserError: if there are no embeddings, or those that are asked for are none.
    """
    for name in asked:
        if name not in found:
            raise UserError(f"{path} has no embeddings '{name}'; it has {', '.join(found) or 'none'}")
    names = list(asked) or list(found)
    if not names:
        raise UserError(
            f"{path} holds no embeddings: lists of floating-point numbers in Parquet, arrays of segments x dim in .npz. It has "
            f"{', '.join(everything)}"
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


def _wanted(path: Path, there: Sequence[str], further: Sequence[str], exported: Sequence[str]) -> dict[str, str]:
    """From the names that a store has for columns to those in the file.

    Raises:
      UserError: if there is no class, or a further column is not there.
    """
    wanted = {}
    for own, names in _NAMES.items():
        found = next((name for name in names if name in there), None)
        if found is not None:
            wanted[own] = found
    if "class" not in wanted:
        raise UserError(
            f"{path} has no column 'class' (or {', '.join(_NAMES['class'][1:])}); it has {', '.join(there)}"
        )
    for name in (*further, *exported):
        if name not in there:
            raise UserError(f"{path} has no column '{name}', which --columns names; it has {', '.join(there)}")
        if name not in wanted.values():
            wanted[name] = name
    return wanted
