"""The schema of perch-hoplite 1.x: deployments, recordings, windows, annotations of stretches of recordings."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.store.containers.hoplite_index import INDEX, IndexVectors
from jfewshot.store.containers.hoplite_tables import POSITIVE, facts_of, of_provenance, rows_of
from jfewshot.store.containers.recording_names import short_names
from jfewshot.store.containers.taking import Taking
from jfewshot.store.containers.windows import Annotation, Database, Labels, Windows, labels_by_overlap

ONE = ("deployments", "recordings", "windows", "annotations")
# Columns that are always read, or that clips do not need.
_OWN = {"id", "recording_id", "deployment_id", "offsets", "filename", "name", "project"}


def read_one(
    file: Path, database: sqlite3.Connection, metadata: dict[str, Any], taking: Taking, columns: Sequence[str]
) -> Database:
    """Read the tables of perch-hoplite 1.x.

    Args:
      file: file of the database.
      database: the open database.
      metadata: the metadata of the database.
      taking: which labels count.
      columns: further columns to keep.

    Returns:
      windows, labels, vectors and facts.

    Raises:
      UserError: if the tables are damaged, or lack a column.
    """
    where = _where(file, database, columns)
    kept = {table: [name for name in columns if where[name] == table] for table in ONE[:3]}
    deployments = {
        row[0]: row[1:]
        for row in database.execute(f"SELECT id, name, project{_listed(kept['deployments'])} FROM deployments")
    }
    nowhere = ("", "", *[""] * len(kept["deployments"]))
    rows = list(database.execute(f"SELECT id, filename, deployment_id{_listed(kept['recordings'])} FROM recordings"))
    of_recording = [deployments.get(row[2], nowhere) for row in rows]
    names = short_names([str(row[1]) for row in rows], [(str(place[1]), str(place[0])) for place in of_recording])
    first_of = {name: at for at, name in reversed(list(enumerate(names)))}
    # Two recordings with the same name and deployment are one recording.
    number_of = {row[0]: first_of[name] for row, name in zip(rows, names, strict=True)}
    texts = {"deployment": [place[0] for place in of_recording], "project": [place[1] for place in of_recording]}
    texts = {name: column for name, column in texts.items() if any(column)}
    texts |= {name: [place[2 + at] for place in of_recording] for at, name in enumerate(kept["deployments"])}
    texts |= {name: [row[3 + at] for row in rows] for at, name in enumerate(kept["recordings"])}
    ids, recordings, offsets, more = rows_of(
        file, database, f"SELECT id, recording_id, offsets{_listed(kept['windows'])} FROM windows", number_of
    )
    start_s, end_s = _pairs(file, "windows", offsets)
    windows = Windows(
        names,
        {name: [_text(value) for value in column] for name, column in texts.items()},
        recordings,
        start_s,
        end_s,
        ids,
        {name: [_text(row[at]) for row in more] for at, name in enumerate(kept["windows"])},
    )
    labels = _labels_of_one(file, database, windows, number_of, taking)
    return Database(windows, labels, IndexVectors(file.with_name(INDEX)), facts_of(metadata))


def _labels_of_one(
    file: Path, database: sqlite3.Connection, windows: Windows, number_of: dict[int, int], taking: Taking
) -> Labels:
    condition, values = of_provenance(file, database, "annotations", taking.provenance)
    ids, recordings, offsets, more = rows_of(
        file,
        database,
        f"SELECT id, recording_id, offsets, label FROM annotations WHERE label_type = {POSITIVE}{condition}",
        number_of,
        values,
    )
    start_s, end_s = _pairs(file, "annotations", offsets)
    annotations = [
        Annotation(int(recordings[at]), float(start_s[at]), float(end_s[at]), str(label).strip())
        for at, (label,) in enumerate(more)
        if str(label).strip()
    ]
    return labels_by_overlap(windows, annotations, taking.min_overlap_s)


def _pairs(file: Path, table: str, offsets: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Convert offsets of 1.x to start and end in seconds; an offset is two numbers of 64 bits."""
    if any(len(blob) != 16 for blob in offsets):
        raise UserError(f"{file}: {table} must have a start and an end as offsets, and a row has not; copy it again")
    pairs = np.frombuffer(b"".join(offsets), "<f8").reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _where(file: Path, database: sqlite3.Connection, columns: Sequence[str]) -> dict[str, str]:
    """The table of 1.x that holds each further column.

    Raises:
      UserError: if no table has one of the columns.
    """
    there = {
        table: [row[1] for row in database.execute(f"PRAGMA table_info({table})") if row[1] not in _OWN]
        for table in ("windows", "recordings", "deployments")
    }
    where = {}
    for name in columns:
        found = next((table for table, names in there.items() if name in names), None)
        if found is None:
            known = ", ".join(dict.fromkeys(name for names in there.values() for name in names))
            raise UserError(f"{file} has no column '{name}', which --columns names; it has {known}")
        where[name] = found
    return where


def _listed(columns: Sequence[str]) -> str:
    return "".join(f', "{name}"' for name in columns)


def _text(value: Any) -> str:
    """A cell as text; a missing one is empty."""
    if isinstance(value, bytes):
        raise UserError("a further column of the database holds bytes; leave it out of --columns")
    return "" if value is None else str(value)
