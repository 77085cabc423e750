"""Makes a store from files of other programs: Parquet with lists of numbers, .npz, a database of windows."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jfewshot.errors import UserError
from jfewshot.store.containers.kinds import KINDS, OF_WINDOWS, check_kind
from jfewshot.store.containers.tables import Table, runs_of_clips
from jfewshot.store.containers.taking import Taking
from jfewshot.store.containers.windows import Annotate
from jfewshot.store.creating import create_store
from jfewshot.store.reading import Store

# Loaded when they are needed.
_READERS = {
    "parquet": "arrow:read_parquet",
    "feather": "arrow:read_feather",
    "hf": "arrow:read_hf",
    "npz": "arrays:read_npz",
    "zarr": "arrays:read_zarr",
}


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
    """Make a store from the files of another program.

    Args:
      path: the folder to write.
      container: a Parquet file with a row per segment (or clip), embeddings as lists of numbers of one length; or an
        .npz file with arrays of segments x dim and one array of labels. Consecutive rows with the same `clip_id` are
        the segments of a clip; or the folder of a Hoplite database, whose windows become clips. Files of `export_store`
        give the same store again.
      dataset: name of the dataset, or a dict with `name` and more; None for the one in an exported store, or for the
        name of a database's folder.
      upstream: name of the encoder, or a dict with `name` and more; None for the one in the file or the database.
      kind: kind of the container, a name of `jfewshot.store.containers.kinds.KINDS`; None to find it from the
            contents.
      embeddings: names of the columns (or arrays) that are embeddings; none means all that can be. A single one becomes
          the view `last.mean` if its name is not a name of a view (`LAYER.POOLING`).
      columns: further columns to keep (site, microphone). Those of an exported store are always kept.
      taking: which windows of recordings become clips; None for all windows with one label.
      annotations: a function from the names of a database's recordings to labelled stretches of them, which replace the
          labels in the database; None to use the labels in the database.
      unlabelled: keep clips without a class; they take part in no episode.
      replace: replace an existing store at `path`.

    Returns:
      the finished store.

    Raises:
      UserError: if the file cannot be read, or has no labels or embeddings; the message lists its contents.
    """
    container = Path(container)
    kind = check_kind(container, kind)
    _refuse_unused(kind, embeddings, taking, annotations)
    if kind in OF_WINDOWS:
        from jfewshot.store.containers.databases import import_windows  # SQLite is loaded where it is needed

        return import_windows(
            path,
            container,
            kind,
            dataset=dataset,
            upstream=upstream,
            columns=columns,
            taking=dataclasses.replace(taking or Taking(), unlabelled=unlabelled),
            annotations=annotations,
            replace=replace,
        )
    found = _reader(kind)(container, embeddings, columns)
    table, facts = found.columns, dict(found.facts)
    is_exported = bool(facts)
    names = {"dataset": dataset, "upstream": upstream}
    for what, given in names.items():
        if given is None and what not in facts:
            raise UserError(f"{container} does not say what its {what} is called; pass --{what} NAME ({what}=...)")
        known = facts.pop(what, {})
        names[what] = known if given is None else {**known, "name": given} if isinstance(given, str) else given
    # In an exported store, clips without a class were kept on request.
    unlabelled = unlabelled or (is_exported and "" in table["class"])
    first, counts = runs_of_clips(container, table)
    taken = {name: [values[row] for row in first] for name, values in table.items()}
    return create_store(
        path,
        found.views,
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
    """Refuse options that this kind of container does not use.

    Raises:
      UserError: names the option.
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


def _reader(kind: str) -> Callable[[Path, Sequence[str], Sequence[str]], Table]:
    module, _, name = _READERS[kind].partition(":")
    return getattr(importlib.import_module(f"jfewshot.store.containers.{module}"), name)
