"""Write a store as a Hoplite database with the tables of perch-hoplite 1.x, so that its tools can open it.

| in the store | in the database |
|---|---|
| a clip that is a stretch of a recording (`dawn.wav:12.5-14`) | windows of the recording `dawn.wav` |
| another clip | a recording of its name, and a window for each segment |
| class | a positive annotation of each window, and the column `clip_class` of windows |
| clip id, group, split, further columns | further columns of windows |
| columns `deployment` and `project` | deployments |

Hoplite stores only float16. If a store does not give the length of its segments, one second is used.
"""

import json
import logging
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import atomic_folder
from jfewshot.files.json_values import decode_json
from jfewshot.store.containers.hoplite_index import INDEX, need_usearch
from jfewshot.store.containers.hoplite_tables import TABLES
from jfewshot.store.containers.rows import facts_text, in_row_order
from jfewshot.store.reading import Store

KEY = "jfewshot"  # key of the metadata with which the store can be made from the database again
PROVENANCE = "jfewshot"
COLUMNS = ("clip_id", "clip_class", "clip_group", "clip_split")  # of windows: id, class, group and split of the clip
_TAKEN = {"id", "recording_id", "offsets", "embedding", *COLUMNS}
_ROWS = 4_096
_STRETCH = re.compile(r"(.+):(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")
_log = logging.getLogger(__name__)

# perch-hoplite 1.0's tables: it opens a database whose tables have these columns.
_SCHEMA = """
CREATE TABLE hoplite_metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE deployments (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, project TEXT NOT NULL, latitude REAL, longitude REAL,
  UNIQUE (name, project));
CREATE TABLE recordings (
  id INTEGER PRIMARY KEY AUTOINCREMENT, filename TEXT NOT NULL, datetime TEXT,
  deployment_id INTEGER REFERENCES deployments(id) ON DELETE CASCADE,
  UNIQUE (id, deployment_id), UNIQUE (filename, deployment_id));
CREATE TABLE windows (
  id INTEGER PRIMARY KEY AUTOINCREMENT, recording_id INTEGER NOT NULL REFERENCES recordings(id) ON DELETE CASCADE,
  offsets FLOAT_LIST NOT NULL{columns}, UNIQUE (id, recording_id, offsets));
CREATE TABLE annotations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, recording_id INTEGER NOT NULL REFERENCES recordings(id) ON DELETE CASCADE,
  offsets FLOAT_LIST NOT NULL, label TEXT NOT NULL, label_type INTEGER NOT NULL, provenance TEXT NOT NULL,
  UNIQUE (id, recording_id, offsets));
CREATE INDEX idx_annotations ON annotations(recording_id, offsets, label, label_type, provenance);
CREATE INDEX idx_labels ON annotations(label, label_type, provenance);
CREATE INDEX idx_recordings_deployment_id ON recordings(deployment_id);
CREATE INDEX idx_windows_recording_id ON windows(recording_id);
"""


def write_hoplite(store: Store, path: Path, view: str, replace: bool) -> None:
    """Write one view of a store as a Hoplite database: a folder that appears complete or not at all.

    Args:
      store: the store.
      path: the folder.
      view: name of the view.
      replace: replace a database that was exported before.

    Raises:
      UserError: if USearch is not installed, if `path` exists and is not such a database, or if a value exceeds the
          range of float16.
    """
    index = need_usearch(f"writing {path}")
    order, rows = in_row_order(store)
    with atomic_folder(path, _own_files, "Hoplite database", replace) as folder:
        loss = _write_vectors(index, store.view(view), rows, folder / INDEX, f"view {view} of {store.path}")
        write_tables(store, order, view, folder / TABLES)
    if loss:
        _log.warning(
            "Hoplite keeps float16, and the store has float32: rounding changes an embedding by up to %.2g of its length; a "
            "store that is made of the database again has float16, and another digest of its rows",
            loss,
        )


def exported_facts(metadata: dict[str, Any]) -> dict[str, Any] | None:
    """The facts in a database's metadata about the store from which it was exported; None for other databases."""
    facts = metadata.get(KEY)
    needed = {"dataset": dict, "upstream": dict, "columns": dict, "view": str, "windows": int, "annotations": int}
    if not isinstance(facts, dict) or not all(isinstance(facts.get(name), kind) for name, kind in needed.items()):
        return None
    return facts if all(isinstance(name, str) for name in facts["columns"].values()) else None


def _own_files(folder: Path) -> frozenset[str] | None:
    """The files of a database that was exported from a store."""
    try:
        address = f"{(folder / TABLES).absolute().as_uri()}?mode=ro"
        with sqlite3.connect(address, uri=True) as database:
            row = database.execute("SELECT value FROM hoplite_metadata WHERE key = ?", (KEY,)).fetchone()
        database.close()
        if row is None or exported_facts({KEY: decode_json(row[0].encode())}) is None:
            return None
    except (sqlite3.Error, UserError, AttributeError):
        return None
    return frozenset({TABLES, INDEX, f"{TABLES}-wal", f"{TABLES}-shm"})


def _write_vectors(module: Any, array: np.ndarray, rows: np.ndarray, path: Path, what: str) -> float:
    """Write the index; returns the largest change of an embedding by rounding, relative to its length."""
    index = module.Index(
        ndim=array.shape[1],
        metric=module.MetricKind.IP,
        dtype=module.ScalarKind.F16,
        expansion_add=256,
        expansion_search=128,
    )
    loss = 0.0
    for start in range(0, len(rows), _ROWS):
        block = np.asarray(array[rows[start : start + _ROWS]])
        with np.errstate(over="ignore"):
            rounded = np.ascontiguousarray(block, np.float16)
        if not np.isfinite(rounded).all():
            raise UserError(
                f"{what}: a value is beyond 65,504, the largest of float16, which is all that Hoplite keeps; scale the embeddings"
            )
        if block.dtype != np.float16:
            wide = block.astype(np.float64)
            length = np.linalg.norm(wide, axis=1)
            change = np.linalg.norm(wide - rounded, axis=1)
            loss = max(loss, float((change / np.where(length > 0, length, 1)).max()))
        index.add(np.arange(start + 1, start + 1 + len(block), dtype=np.uint64), rounded)
    index.save(str(path))
    return loss


def write_tables(store: Store, order: np.ndarray, view: str, path: Path) -> None:
    """Write the tables of a database.

    Args:
      store: the store.
      order: its clips, in the order of their rows; windows are numbered from 1 in this order.
      view: name of the view whose vectors are in the index.
      path: the file to write.
    """
    clips = store.clips
    columns = _sql_names(list(clips.further))
    texts = [clips.clip_id, clips.class_name, clips.group, clips.split, *clips.further.values()]
    names = [*COLUMNS, *columns.values()]
    database = sqlite3.connect(path)
    database.executescript(_SCHEMA.format(columns="".join(f', "{name}" TEXT' for name in names)))
    places: dict[tuple[str, str], int] = {}
    recordings: dict[tuple[str, int | None], int] = {}
    n_windows = n_annotations = 0
    marks = ", ".join("?" * (3 + len(names)))
    for clip in order.tolist():
        place = tuple(
            str(clips.further[name][clip]) if name in clips.further else "" for name in ("deployment", "project")
        )
        deployment = None
        if any(place):
            if place not in places:
                cursor = database.execute("INSERT INTO deployments (name, project) VALUES (?, ?)", place)
                places[place] = int(cursor.lastrowid or 0)  # type: ignore[index]
            deployment = places[place]  # type: ignore[index]
        name, offsets = _windows_of(store, clip)
        if (name, deployment) not in recordings:
            cursor = database.execute(
                "INSERT INTO recordings (filename, deployment_id) VALUES (?, ?)", (name, deployment)
            )
            recordings[name, deployment] = int(cursor.lastrowid or 0)
        recording = recordings[name, deployment]
        values = [str(column[clip]) for column in texts]
        for times in offsets:
            blob, n_windows = np.array(times, "<f8").tobytes(), n_windows + 1
            database.execute(f"INSERT INTO windows VALUES ({marks})", (n_windows, recording, blob, *values))
            if values[1]:
                n_annotations += 1
                database.execute(
                    "INSERT INTO annotations (recording_id, offsets, label, label_type, provenance) VALUES (?, ?, ?, 1, ?)",
                    (recording, blob, values[1], PROVENANCE),
                )
    for key, value in _metadata(store, view, columns, n_windows, n_annotations):
        database.execute("INSERT INTO hoplite_metadata VALUES (?, ?)", (key, json.dumps(value, ensure_ascii=False)))
    database.commit()
    database.close()


def _metadata(
    store: Store, view: str, columns: dict[str, str], n_windows: int, n_annotations: int
) -> Iterator[tuple[str, Any]]:
    dim = int(store.view(view).shape[1])
    config = {
        "embedding_dim": dim,
        "dtype": "float16",
        "metric_name": "IP",
        "expansion_add": 256,
        "expansion_search": 128,
    }
    yield "usearch_config", config
    model: dict[str, Any] = {}
    rate, samples = (store.manifest.get(name) for name in ("sample_rate", "segment_samples"))
    if rate:
        model["sample_rate"] = rate
        if samples:
            model["window_size_s"] = samples / rate
    yield "model_config", {"model_key": store.upstream, "embedding_dim": dim, "model_config": model}
    named = {sql: name for name, sql in columns.items()}
    yield (
        KEY,
        {
            **json.loads(facts_text(store, [view])),
            "view": view,
            "columns": named,
            "windows": n_windows,
            "annotations": n_annotations,
        },
    )


def _windows_of(store: Store, clip: int) -> tuple[str, list[tuple[float, float]]]:
    """The recording of a clip, and the start and end in seconds of each of its segments in the recording."""
    clips, manifest = store.clips, store.manifest
    name, count = str(clips.clip_id[clip]), int(clips.n_segments[clip])
    stretch = _STRETCH.fullmatch(name)
    start_s, end_s = (float(stretch[2]), float(stretch[3])) if stretch else (0.0, 0.0)
    if stretch and end_s > start_s and count == 1:
        return stretch[1], [(start_s, end_s)]
    rate, samples = manifest.get("sample_rate"), manifest.get("segment_samples")
    length_s = samples / rate if rate and samples else 1.0
    offsets = [(start_s + at * length_s, start_s + (at + 1) * length_s) for at in range(count)]
    return (stretch[1] if stretch else name), offsets


def _sql_names(columns: list[str]) -> dict[str, str]:
    """Names of further columns that perch-hoplite accepts: letters, digits and underscores, all different."""
    found: dict[str, str] = {}
    for name in columns:
        plain = re.sub(r"\W|[^\x00-\x7f]", "_", name)
        plain = plain if re.match(r"[A-Za-z_]", plain) else f"_{plain}"
        while plain.lower() in _TAKEN or plain.lower() in {other.lower() for other in found.values()}:
            plain += "_"
        found[name] = plain
    return found
