"""The schema of perch-hoplite 0.1.x: sources, embeddings with offsets, labels of embeddings."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.store.containers.hoplite_index import INDEX, IndexVectors
from jfewshot.store.containers.hoplite_tables import POSITIVE, SETTINGS_OF_BIRDNET, facts_of, of_provenance, rows_of
from jfewshot.store.containers.recording_names import short_names
from jfewshot.store.containers.taking import Taking
from jfewshot.store.containers.windows import Database, Windows

ZERO = ("hoplite_sources", "hoplite_embeddings", "hoplite_labels")


def read_zero(
    file: Path, database: sqlite3.Connection, metadata: dict[str, Any], taking: Taking, columns: Sequence[str]
) -> Database:
    """Read the tables of perch-hoplite 0.1.x.

    Args:
      file: file of the database.
      database: the open database.
      metadata: the metadata of the database.
      taking: which labels count, and the length of windows if the database does not store it.
      columns: further columns; this schema has none.

    Returns:
      windows, labels, vectors and facts.

    Raises:
      UserError: if the tables are damaged, or if the length of windows is unknown.
    """
    if columns:
        raise UserError(
            f"{file} has no column '{columns[0]}', which --columns names: databases of perch-hoplite 0.1 have no further columns"
        )
    rows = list(database.execute("SELECT id, dataset, source FROM hoplite_sources"))
    # The type of these columns is STRING. SQLite gives such columns a numeric affinity, so a source called "12" is read
    # as a number.
    is_birdnet = SETTINGS_OF_BIRDNET in metadata
    names = short_names([str(row[2]) for row in rows], [(str(row[1]),) for row in rows], of_a_machine=is_birdnet)
    ids, recordings, offsets, _ = rows_of(
        file,
        database,
        "SELECT id, source_idx, offsets FROM hoplite_embeddings",
        {row[0]: at for at, row in enumerate(rows)},
    )
    facts = facts_of(metadata)
    window_s = taking.window_s
    if window_s is None and "segment_samples" in facts:
        window_s = facts["segment_samples"] / facts["sample_rate"]
    start_s, end_s = _times(file, offsets, window_s)
    windows = Windows(
        names,
        # BirdNET-Analyzer gives all sources one dataset.
        {} if is_birdnet else {"project": [str(row[1]) for row in rows]},
        recordings,
        start_s,
        end_s,
        ids,
    )
    condition, values = of_provenance(file, database, "hoplite_labels", taking.provenance)
    number_of = {key: number for number, key in enumerate(ids.tolist())}
    labels: dict[int, dict[str, float]] = {}
    for key, label in database.execute(
        f"SELECT embedding_id, label FROM hoplite_labels WHERE type = {POSITIVE}{condition}", values
    ):
        if key in number_of and str(label).strip():
            number = number_of[key]
            labels.setdefault(number, {})[str(label).strip()] = float(end_s[number] - start_s[number])
    return Database(windows, labels, IndexVectors(file.with_name(INDEX)), facts)


def _times(file: Path, offsets: list[bytes], window_s: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Convert offsets of 0.1.x to start and end in seconds: start and end in 32 bits, or only the start in 32 or 16 bits."""
    sizes = {len(blob) for blob in offsets}
    if not sizes <= {2, 4, 8} or len(sizes) > 1:
        raise UserError(f"{file}: its offsets have {sorted(sizes)} bytes; 8 (start and end), 4 or 2 (start) are known")
    joined = b"".join(offsets)
    if sizes == {8}:
        pairs = np.frombuffer(joined, "<f4").astype(np.float64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]
    start_s = np.frombuffer(joined, "<f2" if sizes == {2} else "<f4").astype(np.float64)
    if len(start_s) and window_s is None:
        raise UserError(
            f"{file} says where each window begins and not how long it is; give the length of the encoder's windows: --window-s 5"
        )
    return start_s, start_s + (window_s or 0.0)
