"""Reading the SQLite file of a Hoplite database: what both schemas have in common."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.json_values import decode_json
from jfewshot.files.not_tables import LFS_FIX, is_lfs_pointer

TABLES = "hoplite.sqlite"
POSITIVE = 1  # the type of labels that say that something is heard
SETTINGS_OF_BIRDNET = "birdnet_analyzer_settings"
# What BirdNET-Analyzer 2.4 stores are embeddings of BirdNET 2.4, which takes 48,000 Hz.
_BIRDNET = {"upstream": {"name": "birdnet_2.4"}, "sample_rate": 48_000}


@contextlib.contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """The database, for reading alone.

    Raises:
      UserError: if it is missing, is no SQLite database, or is damaged.
    """
    if not file.is_file():
        raise UserError(
            f"{file} does not exist; name the folder of a Hoplite database, which holds {TABLES} and usearch.index"
        )
    with open(file, "rb") as start:
        if start.read(16) != b"SQLite format 3\0":
            why = LFS_FIX if is_lfs_pointer(file) else "its first bytes are others; copy it again"
            raise UserError(f"{file} is not a SQLite database: {why}")
    address = f"{file.absolute().as_uri()}?mode=ro"
    log = file.with_name(f"{file.name}-wal")
    if not (log.is_file() and log.stat().st_size):
        # Without a log of changes nothing can change: SQLite need not write its own files beside the database, which may lie in
        # a folder where nobody may write.
        address += "&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
            yield database
    except (sqlite3.Error, UnicodeError) as error:
        raise UserError(f"{file} is damaged or cannot be opened (SQLite says: {error}); copy it again") from error


def metadata_of(file: Path, database: sqlite3.Connection, column: str) -> dict[str, Any]:
    """What a database says of itself.

    Args:
      file: of the database, for messages.
      database: the database.
      column: of the values: `value` in perch-hoplite 1.x, `data` in 0.1.x.

    Returns:
      values of JSON by name.

    Raises:
      UserError: if a value is not JSON.
    """
    found: dict[str, Any] = {}
    for key, text in database.execute(f"SELECT key, {column} FROM hoplite_metadata"):
        try:
            found[str(key)] = decode_json(str(text).encode())
        except UserError as error:
            raise UserError(f"{file}: its metadata '{key}' is not JSON ({error})") from error
    return found


def facts_of(metadata: dict[str, Any]) -> dict[str, Any]:
    """Encoder, rate and length of windows, where the program that embedded the recordings noted them."""
    if SETTINGS_OF_BIRDNET in metadata:
        return dict(_BIRDNET)
    model = metadata.get("model_config")
    model = model if isinstance(model, dict) else {}
    inner = model.get("model_config")
    inner = inner if isinstance(inner, dict) else {}
    facts: dict[str, Any] = {}
    if isinstance(model.get("model_key"), str):
        places = [inner.get(name) for name in ("tfhub_path", "model_path")]
        source = next((place for place in places if isinstance(place, str) and place), "")
        facts["upstream"] = {"name": model["model_key"], **({"source": source} if source else {})}
    rate, length_s = inner.get("sample_rate"), inner.get("window_size_s")
    if isinstance(rate, int | float) and rate > 0:
        facts["sample_rate"] = int(rate)
        if isinstance(length_s, int | float) and length_s > 0:
            facts["segment_samples"] = round(length_s * rate)
    return facts


def rows_of(
    file: Path, database: sqlite3.Connection, query: str, number_of: dict[int, int], values: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray, list[bytes], list[tuple[Any, ...]]]:
    """Rows that belong to a recording: ids, numbers of recordings, offsets as they are stored, and further columns.

    Args:
      file: of the database, for messages.
      database: the database.
      query: its columns are id, id of the recording, offsets, and further ones.
      number_of: from the ids of recordings to their places among the recordings.
      values: for the query's question marks.

    Returns:
      these, one per row; further columns only where there are any.

    Raises:
      UserError: if a row names a recording that is not there.
    """
    ids: list[int] = []
    recordings: list[int] = []
    offsets: list[bytes] = []
    more: list[tuple[Any, ...]] = []
    for key, recording, blob, *further in database.execute(query, values):
        if recording not in number_of:
            raise UserError(
                f"{file} is damaged: row {key} names recording {recording}, which is not there; copy it again"
            )
        if not isinstance(blob, bytes):
            raise UserError(f"{file} is damaged: the offsets of row {key} are no bytes; copy it again")
        ids.append(key)
        recordings.append(number_of[recording])
        offsets.append(blob)
        if further:
            more.append(tuple(further))
    return np.array(ids, np.int64), np.array(recordings, np.int64), offsets, more


def of_provenance(file: Path, database: sqlite3.Connection, table: str, wanted: Sequence[str]) -> tuple[str, list[str]]:
    """The condition that labels are of some sources, with its values.

    Args:
      file: of the database, for messages.
      database: the database.
      table: of the labels.
      wanted: the sources; none means all.

    Returns:
      the end of a WHERE clause, and the values of its question marks.

    Raises:
      UserError: if no label is of a source.
    """
    if not wanted:
        return "", []
    there = sorted(str(name) for (name,) in database.execute(f"SELECT DISTINCT provenance FROM {table}"))
    for name in wanted:
        if name not in there:
            raise UserError(
                f"{file} has no label of '{name}', which --provenance names; it has {', '.join(there) or 'none'}"
            )
    return f" AND provenance IN ({', '.join('?' * len(wanted))})", list(wanted)
