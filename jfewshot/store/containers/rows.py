"""The rows of a store as they are exported, and what is said of the store beside them."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jfewshot.store.reading import Store

# Of a manifest, what an import takes over.
FACTS = ("dataset", "upstream", "sample_rate", "segment_samples", "preprocessing", "default_view", "left_out", "cost")
KEY = b"jfewshot"  # under which the schema of a table of Arrow holds the facts, as JSON
NPZ_FACTS = "jfewshot_facts"
NPZ_COLUMN = "column:"  # before the name of a further column
_ROWS = 16_384  # at a time


def facts_text(store: Store, names: Sequence[str]) -> str:
    """What an import takes over from a store's manifest, as JSON; `names` are the views that are exported."""
    facts = {name: store.manifest[name] for name in FACTS if store.manifest.get(name) is not None}
    if facts.get("default_view") not in names:
        facts.pop("default_view", None)
    return json.dumps(facts, ensure_ascii=False, sort_keys=True)


def in_row_order(store: Store) -> tuple[np.ndarray, np.ndarray]:
    """Clips by their first rows, and all rows that they own in that order."""
    order = np.argsort(store.clips.first_segment, kind="stable")
    return order, store.clips.rows(order)[0]


def rows_of(store: Store, names: Sequence[str], pyarrow: Any) -> tuple[Any, Iterator[Any]]:
    """The rows of a store as a table of Arrow, a row per segment.

    Args:
      store: the store.
      names: of the views, each a column of lists.
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
