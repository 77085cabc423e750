"""A Hoplite database: a folder with `hoplite.sqlite` and `usearch.index`, of perch-hoplite 1.x or 0.1.x.

    1.x     deployments, recordings, windows, annotations of stretches of recordings
    0.1.x   datasets, sources, embeddings with offsets, labels of embeddings; BirdNET-Analyzer 2.4 writes this schema

The tables are read with the standard library, so that neither perch-hoplite nor its packages are needed. Only positive labels
count. A window of 1.x has the labels of the annotations that overlap with it, which is perch-hoplite's own rule.
"""

from collections.abc import Sequence
from pathlib import Path

from jfewshot.errors import UserError
from jfewshot.store.containers.hoplite_one import ONE, read_one
from jfewshot.store.containers.hoplite_tables import TABLES, metadata_of, opened
from jfewshot.store.containers.hoplite_zero import ZERO, read_zero
from jfewshot.store.containers.taking import Taking
from jfewshot.store.containers.windows import Database


def read_hoplite(path: Path, taking: Taking, columns: Sequence[str] = ()) -> Database:
    """Read the tables of a database.

    Args:
      path: of its folder.
      taking: which labels count, and the length of windows if the database does not store it.
      columns: further columns to keep, from the tables of windows, recordings and deployments. `project` and
          `deployment` are always kept.

    Returns:
      windows, labels, vectors and facts.

    Raises:
      UserError: if the folder is not a Hoplite database, is damaged, or lacks a column.
    """
    file = path / TABLES
    with opened(file) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables.issuperset(ZERO):
            metadata = metadata_of(file, database, "data")
            return read_zero(file, database, metadata, taking, columns)
        if tables.issuperset(ONE):
            metadata = metadata_of(file, database, "value")
            return read_one(file, database, metadata, taking, columns)
    missing = [name for name in (ZERO if tables & set(ZERO) else ONE) if name not in tables]
    raise UserError(
        f"{file} is no database of Hoplite 0.1 or 1: it lacks the tables {', '.join(missing)}, and has "
        f"{', '.join(sorted(tables)) or 'none'}. Name the folder that perch-hoplite or BirdNET-Analyzer wrote"
    )
