"""A store as one file that other programs read: Parquet with a row per segment, or .npz."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.files.arrays import npz_bytes
from jfewshot.files.parquet import need_pyarrow
from jfewshot.store.croissant import croissant_text
from jfewshot.store.reading import Store

# Of a manifest, what an import takes over.
FACTS = ("dataset", "upstream", "sample_rate", "segment_samples", "preprocessing", "default_view", "left_out", "cost")
KEY = b"jfewshot"  # under which a Parquet file's schema holds the facts, as JSON
NPZ_FACTS = "jfewshot_facts"
NPZ_COLUMN = "column:"  # before the name of a further column
_ROWS = 16_384  # at a time


def export_store(store: Store, path: Path | str, views: Sequence[str] = (), *, replace: bool = False) -> Path:
    """Write a store as one file, or describe it in one, which appears whole or not at all.

    A .json file describes the store in Croissant and holds no embeddings. In the other two, rows are in the order of the store's
    views, and rows that belong to no clip are left out; `import_store` makes a store of such a file again whose clips, labels,
    groups and embeddings have the same digests.

    Args:
      store: the store.
      path: the file; its ending says what it becomes, `.parquet` (a row per segment, each view a column of lists), `.npz`, or
        `.json` (Croissant metadata, with paths relative to the file).
      views: names of the views to write; none means all.
      replace: replace a file that is there.

    Returns:
      the file's path.

    Raises:
      UserError: if the ending is another, the file is there, a view is not, or pyarrow is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in (".parquet", ".npz", ".json"):
        raise UserError(
            f"{path} ends in '{path.suffix}'; a store is exported to .parquet or .npz, or described in .json"
        )
    if path.exists() and not replace:
        raise UserError(f"{path} is there already; name another file, or pass --replace (replace=True)")
    names = tuple(views) or store.views
    for name in names:
        store.view(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".json":
        if views:
            raise UserError(f"{path} describes all files of the store; leave --views out")
        with atomic_write(path, "w") as file:
            file.write(croissant_text(store, path.absolute().parent))
    elif path.suffix.lower() == ".npz":
        with atomic_write(path, "wb") as file:
            file.write(npz_bytes(_arrays(store, names)))
    else:
        _write_parquet(store, path, names)
    return path


def _facts(store: Store, names: Sequence[str]) -> str:
    facts = {name: store.manifest[name] for name in FACTS if store.manifest.get(name) is not None}
    if facts.get("default_view") not in names:
        facts.pop("default_view", None)
    return json.dumps(facts, ensure_ascii=False, sort_keys=True)


def _in_row_order(store: Store) -> tuple[np.ndarray, np.ndarray]:
    """Clips by their first rows, and all rows that they own in that order."""
    order = np.argsort(store.clips.first_segment, kind="stable")
    return order, store.clips.rows(order)[0]


def _arrays(store: Store, names: Sequence[str]) -> dict[str, np.ndarray]:
    clips, (order, rows) = store.clips, _in_row_order(store)
    arrays = {name: np.asarray(store.view(name)[rows]) for name in names}
    arrays |= {
        "clip_id": clips.clip_id[order],
        "class": clips.class_name[order],
        "group": clips.group[order],
        "split": clips.split[order],
        "n_segments": clips.n_segments[order],
        **{f"{NPZ_COLUMN}{name}": column[order] for name, column in clips.further.items()},
        NPZ_FACTS: np.array(_facts(store, names)),
    }
    return arrays


def _write_parquet(store: Store, path: Path, names: Sequence[str]) -> None:
    pyarrow, parquet = need_pyarrow(f"writing {path}")
    clips, (order, rows) = store.clips, _in_row_order(store)
    owner = np.repeat(order, clips.n_segments[order])
    segment = rows - clips.first_segment[owner]
    texts = {"clip_id": clips.clip_id, "class": clips.class_name, "group": clips.group, "split": clips.split}
    texts |= clips.further
    views = {name: store.view(name) for name in names}
    fields = [pyarrow.field(name, pyarrow.string()) for name in texts]
    fields.append(pyarrow.field("segment", pyarrow.int64()))
    for name, view in views.items():
        number = pyarrow.float16() if view.dtype == np.float16 else pyarrow.float32()
        fields.append(pyarrow.field(name, pyarrow.list_(number, view.shape[1])))
    schema = pyarrow.schema(fields, metadata={KEY: _facts(store, names).encode()})

    def batches() -> Iterator[Any]:
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            columns = [pyarrow.array(column[owner[part]].tolist(), pyarrow.string()) for column in texts.values()]
            columns.append(pyarrow.array(segment[part]))
            for view in views.values():
                values = pyarrow.array(np.ascontiguousarray(view[rows[part]]).reshape(-1))
                columns.append(pyarrow.FixedSizeListArray.from_arrays(values, view.shape[1]))
            yield pyarrow.record_batch(columns, schema=schema)

    with atomic_write(path, "wb") as file, parquet.ParquetWriter(file, schema) as writer:
        for batch in batches():
            writer.write_batch(batch)
