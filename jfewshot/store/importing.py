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

# Loaded when they are asked for.
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
    # What a store holds without a class was kept on request.
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


def _reader(kind: str) -> Callable[[Path, Sequence[str], Sequence[str]], Table]:
    module, _, name = _READERS[kind].partition(":")
    return getattr(importlib.import_module(f"jfewshot.store.containers.{module}"), name)
