"""Make the original store from a Hoplite database that was exported from a store: same clips, labels, groups and rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import scratch_folder
from jfewshot.store.clips import ClipTable
from jfewshot.store.containers.hoplite_index import INDEX, IndexVectors
from jfewshot.store.containers.hoplite_tables import TABLES, metadata_of, opened
from jfewshot.store.containers.hoplite_writing import COLUMNS, PROVENANCE, exported_facts
from jfewshot.store.containers.rows import FACTS
from jfewshot.store.containers.tables import runs_of_clips
from jfewshot.store.containers.taking import VIEW_FILE, write_view
from jfewshot.store.reading import Store
from jfewshot.store.writing import check_store_place, write_store


def import_exported(
    path: Path | str,
    folder: Path,
    *,
    dataset: str | Mapping[str, Any] | None,
    upstream: str | Mapping[str, Any] | None,
    replace: bool,
) -> Store | None:
    """Make a store from a database that was exported from a store and not changed since (no new windows or labels).

    Args:
      path: the folder to write.
      folder: folder of the database.
      dataset: another name of the dataset, or facts about it; None for those of the exported store.
      upstream: another name of the encoder, or facts about it; None for those of the exported store.
      replace: replace an existing store at `path`.

    Returns:
      the finished store; None for another database.

    Raises:
      UserError: if the database is damaged, or if `path` exists and may not be replaced.
    """
    with opened(folder / TABLES) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables.issuperset(("hoplite_metadata", "windows", "annotations")):
            return None
        facts = exported_facts(metadata_of(folder / TABLES, database, "value"))
        if facts is None:
            return None
        (n_windows,) = database.execute("SELECT COUNT(*) FROM windows").fetchone()
        sources = [*database.execute("SELECT provenance, COUNT(*) FROM annotations GROUP BY provenance")]
        if n_windows != facts["windows"] or sources != [(PROVENANCE, facts["annotations"])] * (
            facts["annotations"] > 0
        ):
            return None
        check_store_place(path, replace)
        names = [*COLUMNS, *facts["columns"]]
        listed = ", ".join(f'"{name}"' for name in names)
        rows = list(database.execute(f"SELECT id, {listed} FROM windows ORDER BY id"))
    keys = np.array([row[0] for row in rows], np.int64)
    own = ("clip_id", "class", "group", "split", *facts["columns"].values())
    table = {name: ["" if row[at] is None else str(row[at]) for row in rows] for at, name in enumerate(own, 1)}
    first, counts = runs_of_clips(folder, table)
    columns = {name: [texts[row] for row in first] for name, texts in table.items()}
    further = {name: columns[name] for name in facts["columns"].values()}
    clips = ClipTable.build(
        columns["clip_id"], columns["class"], columns["group"], columns["split"], None, counts, True, further
    )
    vectors = IndexVectors(folder / INDEX)
    if not vectors.has(keys).all():
        raise UserError(f"{folder / INDEX} lacks embeddings of windows; export the store again")
    kept = {name: facts[name] for name in FACTS if name in facts}
    for what, given in (("dataset", dataset), ("upstream", upstream)):
        kept[what] = {**kept[what], "name": given} if isinstance(given, str) else dict(given or kept[what])
    with scratch_folder(path) as scratch:
        write_view(scratch / VIEW_FILE, vectors, keys)
        return write_store(path, views={facts["view"]: scratch / VIEW_FILE}, clips=clips, replace=replace, **kept)
