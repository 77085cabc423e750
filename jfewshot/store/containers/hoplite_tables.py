"""Read the SQLite file of a Hoplite database: the common part of both schemas."""

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
POSITIVE = 1  # the type of labels of sounds that are present
SETTINGS_OF_BIRDNET = "birdnet_analyzer_settings"
# BirdNET-Analyzer 2.4 stores embeddings of BirdNET 2.4, whose sample rate is 48,000 Hz.
_BIRDNET = {"upstream": {"name": "birdnet_2.4"}, "sample_rate": 48_000}


@contextlib.contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """Open the database read-only.

    Raises:
      UserError: if the file is missing, damaged or not an SQLite database.
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
        # If there is no write-ahead log, open the database as immutable. SQLite then writes no files of its own next to
        # the database, whose folder may be read-only.
        address += "&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
            yield database
    except (sqlite3.Error, UnicodeError) as error:
        raise UserError(f"{file} is damaged or cannot be opened (SQLite says: {error}); copy it again") from error


def metadata_of(file: Path, database: sqlite3.Connection, column: str) -> dict[str, Any]:
    """The metadata of a database.

    Args:
      file: file of the database, for messages.
      database: the open database.
      column: name of the column of values: `value` in perch-hoplite 1.x, `data` in 0.1.x.

    Returns:
      JSON values by name.

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
    """Encoder, sample rate and length of windows, if the program that embedded the recordings stored them."""
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
    """Rows that belong to recordings: ids, numbers of recordings, stored offsets, and further columns.

    Args:
      file: of the database, for messages.
      database: the database.
      query: an SQL query with the columns id, id of the recording, offsets, and further ones.
      number_of: maps the ids of recordings to their numbers.
      values: values for the query's question marks.

    Returns:
      the columns, with one value per row; further columns only if the query has any.

    Raises:
      UserError: if a row names a recording that does not exist.
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
    """The SQL condition that labels come from some sources, with its values.

    Args:
      file: of the database, for messages.
      database: the database.
      table: name of the table of labels.
      wanted: the sources; none means all.

    Returns:
      the end of a WHERE clause, and the values of its question marks.

    Raises:
      UserError: if no label comes from one of the sources.
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
