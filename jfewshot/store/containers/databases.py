"""Make a store from a database of windows: its tables, its vectors, and its own labels or those of annotations."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jfewshot.errors import UserError
from jfewshot.store.containers.taking import Taking, store_of_windows
from jfewshot.store.containers.windows import Annotate, Database, labels_by_overlap
from jfewshot.store.reading import Store

# Loaded when they are needed.
_READERS = {
    "hoplite": ("jfewshot.store.containers.hoplite", "read_hoplite"),
    "bacpipe": ("jfewshot.store.containers.bacpipe", "read_bacpipe"),
    "hear": ("jfewshot.store.containers.hear", "read_hear"),
}


def import_windows(
    path: Path | str,
    container: Path,
    kind: str,
    *,
    dataset: str | Mapping[str, Any] | None,
    upstream: str | Mapping[str, Any] | None,
    columns: Sequence[str],
    taking: Taking,
    annotations: Annotate | None,
    replace: bool,
) -> Store:
    """Make a store of a database of windows.

    Args:
      path: the folder to write.
      container: the folder of the database, or a file in it.
      kind: kind of the database: hoplite, bacpipe or hear.
      dataset: name of the dataset, or a dict with `name` and more; None for the name of the database's folder.
      upstream: name of the encoder, or a dict with `name` and more; None for the one in the database.
      columns: further columns to keep.
      taking: which windows become clips.
      annotations: labels that replace those in the database; None to use those in the database.
      replace: replace an existing store at `path`.

    Returns:
      the finished store.

    Raises:
      UserError: if the database cannot be read, does not name its encoder, or if no window becomes a clip.
    """
    folder = container.parent if container.is_file() else container
    is_plain = annotations is None and not columns and taking == Taking(unlabelled=taking.unlabelled)
    if kind == "hoplite" and is_plain:
        from jfewshot.store.containers.hoplite_exported import import_exported

        store = import_exported(path, folder, dataset=dataset, upstream=upstream, replace=replace)
        if store is not None:
            return store
    module, name = _READERS[kind]
    found: Database = getattr(importlib.import_module(module), name)(folder, taking, columns)
    if taking.provenance and kind != "hoplite":
        raise UserError("--provenance chooses among labels of a Hoplite database; leave it out")
    labels, facts = found.labels, dict(found.facts)
    if annotations is not None:
        if taking.provenance:
            raise UserError(
                "--provenance chooses among the labels of the database, and --annotations replaces them; give one of the two"
            )
        labels = labels_by_overlap(found.windows, annotations(found.windows.recordings), taking.min_overlap_s)
    known = facts.pop("upstream", None)
    if upstream is None and known is None:
        raise UserError(
            f"{folder} does not say which encoder its embeddings are of; pass --upstream NAME (upstream=...)"
        )
    if isinstance(upstream, str):
        upstream = {**(known or {}), "name": upstream} if known and known["name"] == upstream else {"name": upstream}
    named = {"name": dataset} if isinstance(dataset, str) else dataset
    return store_of_windows(
        path,
        found.windows,
        labels,
        found.vectors,
        taking,
        container=folder,
        dataset=named or {"name": found.name or folder.resolve().name},
        upstream=upstream or known,
        replace=replace,
        **facts,
    )
