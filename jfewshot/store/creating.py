"""A store from somebody's own embeddings: arrays in memory, `.npy` with a CSV of labels, or a folder of arrays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.tables import Row, read_table
from jfewshot.store.clips import ClipTable
from jfewshot.store.reading import VIEW_DTYPES, Store
from jfewshot.store.writing import check_store_place, write_store


def create_store(
    path: Path | str,
    embeddings: np.ndarray | Sequence[np.ndarray] | Mapping[str, np.ndarray],
    classes: Sequence[str] | np.ndarray,
    *,
    dataset: str | Mapping[str, Any],
    upstream: str | Mapping[str, Any],
    clip_ids: Sequence[str] | np.ndarray | None = None,
    groups: Sequence[str] | np.ndarray | None = None,
    splits: Sequence[str] | np.ndarray | None = None,
    n_segments: Sequence[int] | np.ndarray | None = None,
    view: str = "last.mean",
    **facts: Any,
) -> Store:
    """Write a store from arrays.

    Args:
      path: the folder to write.
      embeddings: an array of segments x dim (or clips x dim), a list with one array of segments x dim per clip, or a
        dict of view name to array. float64 is stored as float32.
      classes: the label of each clip.
      dataset: the dataset's name, or a dict with `name` and more (docs/store.md).
      upstream: the encoder's name, or a dict with `name` and more.
      clip_ids: a name for each clip; None numbers them.
      groups: what must not be on both sides of an episode (speaker, site), one text per clip; None for none.
      splits: one text per clip (train, valid, test); None for none.
      n_segments: segments of each clip, in the order of the rows; None for one each, or as the list of arrays says.
      view: the view's name where `embeddings` is one array or a list.
      **facts: passed to `write_store` (sample_rate, preprocessing, replace=True to replace a store that stands at
        `path`, ...).

    Returns:
      the finished store.

    Raises:
      UserError: if lengths or types do not fit.

    Example:
      >>> store = create_store("stores/birds/mine", X, labels, dataset="birds", upstream="mine")  # doctest: +SKIP
    """
    check_store_place(path, bool(facts.get("replace", False)))
    if isinstance(embeddings, Mapping):
        views = {name: _as_view(array, name) for name, array in embeddings.items()}
    elif isinstance(embeddings, np.ndarray):
        views = {view: _as_view(embeddings, view)}
    else:
        per_clip = [np.atleast_2d(np.asarray(array)) for array in embeddings]
        n_segments = [len(array) for array in per_clip] if n_segments is None else n_segments
        if len({array.shape[1] for array in per_clip}) != 1:
            raise UserError("the clips' arrays differ in dimension; give segments x dim with one dim for all")
        views = {view: _as_view(np.concatenate(per_clip), view)}
    names = [f"{number:06d}" for number in range(len(classes))] if clip_ids is None else clip_ids
    clips = ClipTable.build(names, classes, groups, splits, None, n_segments)
    for name, array in views.items():
        if len(array) != clips.n_rows:
            raise UserError(f"view '{name}' has {len(array)} rows for {clips.n_rows} segments of {len(clips)} clips")
    return write_store(
        path,
        views=views,
        clips=clips,
        dataset={"name": dataset} if isinstance(dataset, str) else dataset,
        upstream={"name": upstream} if isinstance(upstream, str) else upstream,
        **facts,
    )


def create_from_files(
    path: Path | str,
    embeddings: Path | str,
    labels: Path | str,
    *,
    dataset: str | Mapping[str, Any],
    upstream: str | Mapping[str, Any],
    view: str = "last.mean",
    **facts: Any,
) -> Store:
    """Write a store from files.

    Args:
      path: the folder to write.
      embeddings: a `.npy` file of segments x dim whose rows follow the CSV's, or a folder with one `.npy` per clip
        (segments x dim, or dim alone) named `<clip_id>.npy`.
      labels: a CSV with a header and a column `class` (or `label`); `clip_id`, `group`, `split` and `n_segments` are
        taken where they are there.
      dataset: the dataset's name, or a dict with `name` and more.
      upstream: the encoder's name, or a dict with `name` and more.
      view: the view's name.
      **facts: passed to `write_store`.

    Returns:
      the finished store.

    Raises:
      UserError: if a file is missing or does not fit.
    """
    rows = _read_labels(Path(labels))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    class_names = columns.get("class", columns.get("label"))
    if class_names is None:
        raise UserError(f"{labels} has no column 'class' (or 'label'); it has {', '.join(columns)}")
    source = Path(embeddings)
    arrays: np.ndarray | list[np.ndarray]
    counts: list[int] | None
    if source.is_dir():
        if "clip_id" not in columns:
            raise UserError(f"{labels} has no column 'clip_id', which names the arrays in {source}")
        arrays = [_load(source / f"{clip_id}.npy") for clip_id in columns["clip_id"]]
        counts = None
    else:
        arrays = _load(source)
        try:
            counts = [int(value) for value in columns["n_segments"]] if "n_segments" in columns else None
        except ValueError as error:
            raise UserError(f"{labels}: n_segments must be whole numbers ({error})") from error
    return create_store(
        path,
        arrays,
        class_names,
        dataset=dataset,
        upstream=upstream,
        clip_ids=columns.get("clip_id"),
        groups=columns.get("group"),
        splits=columns.get("split"),
        n_segments=counts,
        view=view,
        **facts,
    )


def _read_labels(path: Path) -> list[Row]:
    rows = read_table(path, (), "give a CSV with a column 'class', one line per clip")
    if not rows:
        raise UserError(f"{path} has no lines under its header; give one line per clip")
    return rows


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; give a .npy file, or a folder with one .npy per clip") from error
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path} is not a whole .npy array ({error})") from error


def _as_view(array: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"view '{name}' is {array.dtype} of shape {array.shape}; give floating-point segments x dim")
    return array if str(array.dtype) in VIEW_DTYPES else array.astype(np.float32)
