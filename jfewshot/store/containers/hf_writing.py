"""Write a store as a folder that `load_from_disk` of Hugging Face's `datasets` can open, with pyarrow alone."""

import hashlib
import json
from pathlib import Path
from typing import Any

from jfewshot.errors import UserError
from jfewshot.files import atomic_folder
from jfewshot.files.json_values import decode_json
from jfewshot.files.parquet import need_pyarrow
from jfewshot.store.containers.rows import rows_of
from jfewshot.store.reading import Store

_DATA, _INFO, _STATE = "data-00000-of-00001.arrow", "dataset_info.json", "state.json"
_DESCRIPTION = "Embeddings that jfewshot exported from a store: a row per segment."


def write_hf(store: Store, path: Path, names: tuple[str, ...], replace: bool) -> None:
    """Write a store as a saved dataset: a folder that appears complete or not at all.

    Args:
      store: the store.
      path: the folder.
      names: of the views to write, each a column of lists.
      replace: replace a dataset that was exported before.

    Raises:
      UserError: if pyarrow is not installed, or if `path` exists and is not such a folder.
    """
    pyarrow, _ = need_pyarrow(f"writing {path}")
    schema, batches = rows_of(store, names, pyarrow)
    dataset = store.manifest["dataset"]
    with atomic_folder(path, _own_files, "exported dataset", replace) as folder:
        with pyarrow.OSFile(str(folder / _DATA), "wb") as file, pyarrow.ipc.new_stream(file, schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
        # We do not write the types of the columns; `datasets` infers them from the data. Its format for types has
        # changed before.
        info = {
            "description": _DESCRIPTION,
            "citation": str(dataset.get("citation") or ""),
            "homepage": str(dataset.get("source") or ""),
            "license": str(dataset.get("licence") or ""),
        }
        state: dict[str, Any] = {
            "_data_files": [{"filename": _DATA}],
            "_fingerprint": hashlib.sha256(store.digest.encode()).hexdigest()[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": None,
        }
        (folder / _INFO).write_text(json.dumps(info, indent=2, ensure_ascii=False), "utf-8")
        (folder / _STATE).write_text(json.dumps(state, indent=2), "utf-8")


def _own_files(folder: Path) -> frozenset[str] | None:
    """The files of a dataset that was exported from a store."""
    try:
        info = decode_json((folder / _INFO).read_bytes())
    except (OSError, UserError):  # missing or damaged
        return None
    is_ours = isinstance(info, dict) and info.get("description") == _DESCRIPTION
    return frozenset({_DATA, _INFO, _STATE}) if is_ours else None
