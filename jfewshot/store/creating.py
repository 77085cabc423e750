"""Make a store from the user's own embeddings: arrays in memory, `.npy` with a CSV of labels, or a folder of arrays."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.parquet import SUFFIXES as PARQUET
from jfewshot.files.parquet import read_parquet
from jfewshot.files.tables import Row, near_name, read_table, refuse_nested
from jfewshot.files.texts import check_twins, texts_of
from jfewshot.store.clips import ClipTable
from jfewshot.store.containers.kinds import KINDS, kind_of
from jfewshot.store.given import as_view, check_finite, load_array
from jfewshot.store.reading import Store
from jfewshot.store.writing import check_store_place, write_store

_log = logging.getLogger(__name__)
# The columns that a store reads from a table of labels, and other names for them.
_NAMES = {
    "class": ("class", "label"),
    "clip_id": ("clip_id", "path", "file_name"),
    "group": ("group",),
    "split": ("split",),
    "n_segments": ("n_segments",),
}


def create_store(
    path: Path | str,
    embeddings: Any,
    classes: Iterable[Any],
    *,
    dataset: str | Mapping[str, Any],
    upstream: str | Mapping[str, Any],
    clip_ids: Iterable[Any] | None = None,
    groups: Iterable[Any] | None = None,
    splits: Iterable[Any] | None = None,
    further: Mapping[str, Iterable[Any]] | Sequence[str] | None = None,
    n_segments: Sequence[int] | np.ndarray | None = None,
    view: str = "last.mean",
    unlabelled: bool = False,
    **facts: Any,
) -> Store:
    """Write a store from arrays.

    Args:
      path: the folder to write.
      embeddings: an array of segments x dim (or clips x dim), a list with one array of segments x dim per clip, or a
        dict of view name to array. Arrays of PyTorch and JAX and data frames of numbers are taken too; float64 and bfloat16
        are stored as float32.
      classes: the label of each clip: text, bytes in UTF-8 or numbers. Missing ones (None, NaN, pandas' NA) are
        refused, unless `unlabelled` is given. Or a data frame of pandas or polars with a row per clip: its columns
        `class` (or `label`), `clip_id` (or `path`, `file_name`), `group`, `split` and `n_segments` are used unless an
        argument gives them.
      dataset: the dataset's name, or a dict with `name` and more (docs/store.md).
      upstream: the encoder's name, or a dict with `name` and more.
      clip_ids: a name for each clip; None numbers them.
      groups: the group of each clip (speaker, site), one text per clip; with `group_aware`, clips of one group are
          never on both sides of an episode. None for no groups; an empty text for an unknown group.
      splits: one text per clip (train, valid, test); None for none.
      further: further columns by name (site, microphone, language), each with one text per clip, for `support_where` and
        `query_where`; of a data frame, the names of such columns; None for none.
      n_segments: number of segments of each clip, in the order of the rows; None for one each, or for the lengths of
          the arrays in a list.
      view: the view's name if `embeddings` is one array or a list.
      unlabelled: keep clips without a class; they take part in no episode.
      **facts: passed to `write_store` (sample_rate, preprocessing, replace=True to replace a store that stands at
        `path`, ...).

    Returns:
      the finished store.

    Raises:
      UserError: if lengths or types do not fit, a clip has no class, two classes or groups differ only in white space,
          an embedding is NaN or infinite, or `path` exists and may not be replaced.

    Example:
      >>> store = create_store("stores/birds/mine", X, labels, dataset="birds", upstream="mine")  # doctest: +SKIP
    """
    check_store_place(path, bool(facts.get("replace", False)))
    if hasattr(classes, "columns"):
        given = _of_frame(classes, tuple(further or ()))
        classes = given["class"]
        clip_ids = given.get("clip_id") if clip_ids is None else clip_ids
        groups = given.get("group") if groups is None else groups
        splits = given.get("split") if splits is None else splits
        n_segments = given.get("n_segments") if n_segments is None else n_segments
        further = {name: given[name] for name in further or ()}
    elif further is not None and not isinstance(further, Mapping):
        raise UserError(
            "further names columns of a data frame, and classes is none; give {name: one text per clip} instead"
        )
    views, clips = checked_arrays(
        embeddings,
        classes,
        clip_ids=clip_ids,
        groups=groups,
        splits=splits,
        further=further,
        n_segments=n_segments,
        view=view,
        unlabelled=unlabelled,
    )
    return write_store(
        path,
        views=views,
        clips=clips,
        dataset={"name": dataset} if isinstance(dataset, str) else dataset,
        upstream={"name": upstream} if isinstance(upstream, str) else upstream,
        **facts,
    )


def checked_arrays(
    embeddings: Any,
    classes: Iterable[Any],
    *,
    clip_ids: Iterable[Any] | None = None,
    groups: Iterable[Any] | None = None,
    splits: Iterable[Any] | None = None,
    further: Mapping[str, Iterable[Any]] | None = None,
    n_segments: Sequence[int] | np.ndarray | None = None,
    view: str = "last.mean",
    unlabelled: bool = False,
) -> tuple[dict[str, np.ndarray], ClipTable]:
    """Convert the user's arrays and labels to the views and the table of clips of a store, without writing the store.

    Args:
      embeddings: as for `create_store`.
      classes: the label of each clip.
      clip_ids: a name for each clip; None numbers them.
      groups: the group of each clip; None for none.
      splits: the split of each clip; None for none.
      further: further columns by name; None for none.
      n_segments: number of segments of each clip; None for one each, or for the lengths of the arrays in a list.
      view: the view's name if `embeddings` is one array or a list.
      unlabelled: keep clips without a class.

    Returns:
      arrays by name, segments x dim, and the table of clips.

    Raises:
      UserError: as for `create_store`, except for errors about a path.
    """
    if isinstance(embeddings, Mapping):
        views = {name: as_view(array, name) for name, array in embeddings.items()}
    elif hasattr(embeddings, "shape"):
        views = {view: as_view(embeddings, view)}
    else:
        per_clip = [
            as_view(array if len(np.shape(array)) > 1 else array[None], view) for array in map(_as_array, embeddings)
        ]
        n_segments = [len(array) for array in per_clip] if n_segments is None else n_segments
        if len({array.shape[1] for array in per_clip}) != 1:
            raise UserError("the clips' arrays differ in dimension; give segments x dim with one dim for all")
        views = {view: np.concatenate(per_clip)}
    if clip_ids is not None:
        clip_ids = texts_of(clip_ids, "clip id")
    labels = texts_of(classes, "class", clip_ids)
    names = [f"{number:06d}" for number in range(len(labels))] if clip_ids is None else clip_ids
    clips = ClipTable.build(names, labels, groups, splits, None, n_segments, unlabelled, further)
    check_twins(clips.class_name.tolist(), "classes")
    check_twins(clips.group.tolist(), "groups")
    for name, column in clips.further.items():
        check_twins(column.tolist(), f"values of {name}")
    for name, array in views.items():
        if len(array) != clips.n_rows:
            raise UserError(f"view '{name}' has {len(array)} rows for {clips.n_rows} segments of {len(clips)} clips")
        check_finite(array, name, clips)
    return views, clips


def create_from_files(
    path: Path | str,
    embeddings: Path | str,
    labels: Path | str,
    *,
    dataset: str | Mapping[str, Any],
    upstream: str | Mapping[str, Any],
    view: str = "last.mean",
    unlabelled: bool = False,
    columns: Sequence[str] = (),
    **facts: Any,
) -> Store:
    """Write a store from files.

    Args:
      path: the folder to write.
      embeddings: a `.npy` file of segments x dim whose rows follow the table's, or a folder with one `.npy` per clip
        (segments x dim, or dim alone) named `<clip_id>.npy`.
      labels: a CSV, TSV, JSON lines or Parquet file with a column `class` (or `label`); `clip_id` (or `path`, `file_name`),
        `group`, `split` and `n_segments` are used if the file has them. A warning names other columns, unless
        `columns` names them.
      dataset: the dataset's name, or a dict with `name` and more.
      upstream: the encoder's name, or a dict with `name` and more.
      view: the view's name.
      unlabelled: keep clips without a class; they take part in no episode.
      columns: names of further columns of the table to keep (site, microphone), for `--support-where` and `--query-where`.
      **facts: passed to `write_store`.

    Returns:
      the finished store.

    Raises:
      UserError: if a file is missing or does not fit.
    """
    kind = kind_of(Path(embeddings))
    if kind not in (None, "npz", "parquet"):
        raise UserError(
            f"{embeddings} is {KINDS[kind]}, which holds labels or names of recordings too; `jfewshot store import {kind} PATH` "
            "makes the store"
        )
    rows = _read_labels(Path(labels))
    known = _known_columns(Path(labels), rows, columns)
    source = Path(embeddings)
    arrays: np.ndarray | list[np.ndarray]
    counts: list[int] | None
    if source.is_dir():
        if "clip_id" not in known:
            raise UserError(f"{labels} has no column 'clip_id', which names the arrays in {source}")
        arrays = [load_array(source / f"{clip_id}.npy") for clip_id in known["clip_id"]]
        counts = None
    else:
        arrays = load_array(source)
        try:
            counts = [int(value) for value in known["n_segments"]] if "n_segments" in known else None
        except ValueError as error:
            raise UserError(f"{labels}: n_segments must be whole numbers ({error})") from error
    return create_store(
        path,
        arrays,
        known["class"],
        dataset=dataset,
        upstream=upstream,
        clip_ids=known.get("clip_id"),
        groups=known.get("group"),
        splits=known.get("split"),
        further={name: known[name] for name in columns},
        n_segments=counts,
        view=view,
        unlabelled=unlabelled,
        **facts,
    )


def _read_labels(path: Path) -> list[Row]:
    if path.suffix.lower() in PARQUET:
        rows = read_parquet(path)
    else:
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        rows = read_table(path, (), "give a CSV with a column 'class', one line per clip", delimiter)
    if not rows:
        raise UserError(f"{path} has no lines under its header; give one line per clip")
    return rows


def _known_columns(path: Path, rows: list[Row], further: Sequence[str] = ()) -> dict[str, list[str]]:
    """The columns that a store uses, by the store's names; a warning names the others.

    Raises:
      UserError: if there is no class, a cell is a list, or a name differs from one of ours only in case or white space.
    """
    there = list(rows[0])
    found = {}
    for column, names in _NAMES.items():
        name = next((name for name in names if name in there), None)
        twin = next(filter(None, (near_name(name, there) for name in names)), None)
        if name is not None:
            found[column] = name
        elif twin is not None:
            raise UserError(
                f"{path} has a column {twin!r}; rename it to {column}: names of columns are compared letter by letter"
            )
    if "class" not in found:
        raise UserError(f"{path} has no column 'class' (or 'label'); it has {', '.join(there)}")
    for name in further:
        if name not in there:
            raise UserError(f"{path} has no column {name!r}, which --columns names; it has {', '.join(there)}")
        if name in _NAMES or name in found.values():
            raise UserError(f"--columns names {name!r}, which a store takes anyway; leave it out")
        found[name] = name
    unused = [name for name in there if name not in found.values() and name.strip()]
    if unused:
        _log.warning(
            "%s: not used: the columns %s; a store takes %s, and what --columns names",
            path,
            ", ".join(unused),
            ", ".join(_NAMES),
        )
    for row in rows:
        for name in found.values():
            refuse_nested(path, row, name)
    return {column: [row[name] for row in rows] for column, name in found.items()}


def _of_frame(frame: Any, further: Sequence[str]) -> dict[str, list[Any]]:
    """The columns of a data frame that a store uses, by the store's names.

    Raises:
      UserError: if there is no class, or a further column does not exist.
    """
    there = [str(name) for name in frame.columns]
    found = {
        own: next(name for name in names if name in there)
        for own, names in _NAMES.items()
        if any(name in there for name in names)
    }
    if "class" not in found:
        raise UserError(f"the data frame has no column 'class' (or 'label'); it has {', '.join(there)}")
    for name in further:
        if name not in there:
            raise UserError(f"the data frame has no column '{name}', which further names; it has {', '.join(there)}")
        found[name] = name
    return {own: list(frame[name]) for own, name in found.items()}


def _as_array(given: Any) -> Any:
    """Convert a clip's embeddings to an array."""
    return given if hasattr(given, "shape") and not hasattr(given, "to_numpy") else np.asarray(given)
