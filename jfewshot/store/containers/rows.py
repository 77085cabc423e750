"""The rows of a store for an export, and the facts about the store that are exported with them."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jfewshot.store.reading import Store

# The fields of a manifest that an import keeps.
FACTS = ("dataset", "upstream", "sample_rate", "segment_samples", "preprocessing", "default_view", "left_out", "cost")
KEY = b"jfewshot"  # key of the facts, as JSON, in the schema of an Arrow table
NPZ_FACTS = "jfewshot_facts"
NPZ_COLUMN = "column:"  # prefix of the name of a further column
_ROWS = 16_384  # rows at a time


def facts_text(store: Store, names: Sequence[str]) -> str:
    """The facts of a store's manifest that an import keeps, as JSON; `names` are the exported views."""
    facts = {name: store.manifest[name] for name in FACTS if store.manifest.get(name) is not None}
    if facts.get("default_view") not in names:
        facts.pop("default_view", None)
    return json.dumps(facts, ensure_ascii=False, sort_keys=True)


def in_row_order(store: Store) -> tuple[np.ndarray, np.ndarray]:
    """The clips sorted by their first rows, and all their rows in that order."""
    order = np.argsort(store.clips.first_segment, kind="stable")
    return order, store.clips.rows(order)[0]


def rows_of(store: Store, names: Sequence[str], pyarrow: Any) -> tuple[Any, Iterator[Any]]:
    """The rows of a store as an Arrow table with a row per segment.

    Args:
      store: the store.
      names: names of the views, each of which is a column of lists.
      pyarrow: the module.

    Returns:
      the schema, and batches of rows.
    """
    clips, (order, rows) = store.clips, in_row_order(store)
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
    schema = pyarrow.schema(fields, metadata={KEY: facts_text(store, names).encode()})

    def batches() -> Iterator[Any]:
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            columns = [pyarrow.array(column[owner[part]].tolist(), pyarrow.string()) for column in texts.values()]
            columns.append(pyarrow.array(segment[part]))
            for view in views.values():
                values = pyarrow.array(np.ascontiguousarray(view[rows[part]]).reshape(-1))
                columns.append(pyarrow.FixedSizeListArray.from_arrays(values, view.shape[1]))
            yield pyarrow.record_batch(columns, schema=schema)

    return schema, batches()
