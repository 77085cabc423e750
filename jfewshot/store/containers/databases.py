"""A store of a database of windows: its tables, its vectors, and labels of its own or of annotations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jfewshot.errors import UserError
from jfewshot.store.containers.hoplite import folder_of, read_hoplite
from jfewshot.store.containers.hoplite_index import INDEX, IndexVectors
from jfewshot.store.containers.taking import Taking, store_of_windows
from jfewshot.store.containers.windows import Annotate, labels_by_overlap
from jfewshot.store.reading import Store


def import_windows(
    path: Path | str,
    container: Path,
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
      container: the database.
      dataset: its name, or a dict with `name` and more; None for the name of the database's folder.
      upstream: the encoder's, likewise; None for what the database says.
      columns: further columns to keep.
      taking: which windows become clips.
      annotations: labels in place of those in the database; None for those.
      replace: replace a store that stands at `path`.

    Returns:
      the finished store.

    Raises:
      UserError: if the database cannot be read, does not say which encoder it is of, or no window becomes a clip.
    """
    folder = folder_of(container)
    found = read_hoplite(folder, taking, columns)
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
        IndexVectors(folder / INDEX),
        taking,
        container=folder,
        dataset=named or {"name": folder.resolve().name},
        upstream=upstream or known,
        replace=replace,
        **facts,
    )
