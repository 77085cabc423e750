"""A Hoplite database: a folder with `hoplite.sqlite` and `usearch.index`, of perch-hoplite 1.x or 0.1.x.

    1.x     deployments, recordings, windows, annotations of stretches of recordings
    0.1.x   datasets, sources, embeddings with offsets, labels of embeddings; BirdNET-Analyzer 2.4 writes this schema

The tables are read with the standard library, so that neither perch-hoplite nor its packages are needed. Only positive labels
count. A window of 1.x has the labels of the annotations that overlap with it, which is perch-hoplite's own rule.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.json_values import decode_json
from jfewshot.files.not_tables import LFS_FIX, is_lfs_pointer
from jfewshot.store.containers.hoplite_index import INDEX, IndexVectors
from jfewshot.store.containers.recording_names import short_names
from jfewshot.store.containers.taking import Taking
from jfewshot.store.containers.windows import Annotation, Database, Labels, Windows, labels_by_overlap

TABLES = "hoplite.sqlite"
ONE = ("deployments", "recordings", "windows", "annotations")
ZERO = ("hoplite_sources", "hoplite_embeddings", "hoplite_labels")
_POSITIVE = 1
_SETTINGS_OF_BIRDNET = "birdnet_analyzer_settings"
# Columns that are read in any case, or are of no use to a clip.
_OWN = {"id", "recording_id", "deployment_id", "offsets", "filename", "name", "project"}
# What BirdNET-Analyzer 2.4 stores are embeddings of BirdNET 2.4, of windows of 3 s at 48,000 Hz.
_BIRDNET = {"upstream": {"name": "birdnet_2.4"}, "sample_rate": 48_000}


def folder_of(path: Path) -> Path:
    """The folder of a database, which may be named by the folder or by one of its files."""
    return path.parent if path.is_file() else path


def read_hoplite(path: Path, taking: Taking, columns: Sequence[str] = ()) -> Database:
    """Read the tables of a database.

    Args:
      path: of its folder.
      taking: which labels count, and how long windows are where the database does not say it.
      columns: further columns to keep: of the tables of windows, recordings and deployments. `project` and `deployment` are kept
        in any case.

    Returns:
      windows, labels, vectors and facts.

    Raises:
      UserError: if it is no database of Hoplite, is damaged, or has no such column.
    """
    file = folder_of(path) / TABLES
    with opened(file) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables.issuperset(ZERO):
            metadata = metadata_of(file, database, "data")
            return _read_zero(file, database, metadata, taking, columns)
        if tables.issuperset(ONE):
            metadata = metadata_of(file, database, "value")
            return _read_one(file, database, metadata, taking, columns)
    missing = [name for name in (ZERO if tables & set(ZERO) else ONE) if name not in tables]
    raise UserError(
        f"{file} is no database of Hoplite 0.1 or 1: it lacks the tables {', '.join(missing)}, and has "
        f"{', '.join(sorted(tables)) or 'none'}. Name the folder that perch-hoplite or BirdNET-Analyzer wrote"
    )


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


def _facts(metadata: dict[str, Any]) -> dict[str, Any]:
    """Encoder, rate and length of windows, where the program that embedded the recordings noted them."""
    if _SETTINGS_OF_BIRDNET in metadata:
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


def _read_one(
    file: Path, database: sqlite3.Connection, metadata: dict[str, Any], taking: Taking, columns: Sequence[str]
) -> Database:
    """The schema of perch-hoplite 1.x."""
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
    # Two recordings of one name and one deployment are one recording.
    number_of = {row[0]: first_of[name] for row, name in zip(rows, names, strict=True)}
    texts = {"deployment": [place[0] for place in of_recording], "project": [place[1] for place in of_recording]}
    texts = {name: column for name, column in texts.items() if any(column)}
    texts |= {name: [place[2 + at] for place in of_recording] for at, name in enumerate(kept["deployments"])}
    texts |= {name: [row[3 + at] for row in rows] for at, name in enumerate(kept["recordings"])}
    ids, recordings, offsets, more = _rows_of(
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
    return Database(windows, labels, IndexVectors(file.with_name(INDEX)), _facts(metadata))


def _labels_of_one(
    file: Path, database: sqlite3.Connection, windows: Windows, number_of: dict[int, int], taking: Taking
) -> Labels:
    condition, values = _of_provenance(file, database, "annotations", taking.provenance)
    ids, recordings, offsets, more = _rows_of(
        file,
        database,
        f"SELECT id, recording_id, offsets, label FROM annotations WHERE label_type = {_POSITIVE}{condition}",
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


def _read_zero(
    file: Path, database: sqlite3.Connection, metadata: dict[str, Any], taking: Taking, columns: Sequence[str]
) -> Database:
    """The schema of perch-hoplite 0.1.x."""
    if columns:
        raise UserError(
            f"{file} has no column '{columns[0]}', which --columns names: databases of perch-hoplite 0.1 have no further columns"
        )
    rows = list(database.execute("SELECT id, dataset, source FROM hoplite_sources"))
    # Types of these columns are STRING, which SQLite reads as a wish for numbers: a source called 12 comes back as one.
    is_birdnet = _SETTINGS_OF_BIRDNET in metadata
    names = short_names([str(row[2]) for row in rows], [(str(row[1]),) for row in rows], of_a_machine=is_birdnet)
    ids, recordings, offsets, _ = _rows_of(
        file,
        database,
        "SELECT id, source_idx, offsets FROM hoplite_embeddings",
        {row[0]: at for at, row in enumerate(rows)},
    )
    facts = _facts(metadata)
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
    condition, values = _of_provenance(file, database, "hoplite_labels", taking.provenance)
    number_of = {key: number for number, key in enumerate(ids.tolist())}
    labels: dict[int, dict[str, float]] = {}
    for key, label in database.execute(
        f"SELECT embedding_id, label FROM hoplite_labels WHERE type = {_POSITIVE}{condition}", values
    ):
        if key in number_of and str(label).strip():
            number = number_of[key]
            labels.setdefault(number, {})[str(label).strip()] = float(end_s[number] - start_s[number])
    return Database(windows, labels, IndexVectors(file.with_name(INDEX)), facts)


def _rows_of(
    file: Path, database: sqlite3.Connection, query: str, number_of: dict[int, int], values: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray, list[bytes], list[tuple[Any, ...]]]:
    """Rows that belong to a recording: ids, numbers of recordings, offsets as they are stored, and further columns.

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


def _pairs(file: Path, table: str, offsets: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Start and end in seconds of offsets of 1.x: two numbers of 64 bits."""
    if any(len(blob) != 16 for blob in offsets):
        raise UserError(f"{file}: {table} must have a start and an end as offsets, and a row has not; copy it again")
    pairs = np.frombuffer(b"".join(offsets), "<f8").reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _times(file: Path, offsets: list[bytes], window_s: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Start and end in seconds of offsets of 0.1.x: start and end in 32 bits, or the start alone in 32 or 16 bits."""
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


def _of_provenance(
    file: Path, database: sqlite3.Connection, table: str, wanted: Sequence[str]
) -> tuple[str, list[str]]:
    """The condition that labels are of some sources, with its values.

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


def _where(file: Path, database: sqlite3.Connection, columns: Sequence[str]) -> dict[str, str]:
    """The table of 1.x that holds each further column.

    Raises:
      UserError: if none does.
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
