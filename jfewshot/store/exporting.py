"""Write a store in a format of other programs: Parquet with a row per segment, .npz, a saved dataset, a Hoplite database."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.files.arrays import npz_bytes
from jfewshot.files.parquet import need_pyarrow
from jfewshot.store.containers.rows import NPZ_COLUMN, NPZ_FACTS, facts_text, in_row_order, rows_of
from jfewshot.store.croissant import croissant_text
from jfewshot.store.reading import Store

KINDS = ("parquet", "npz", "hf", "hoplite")
_FOLDERS = ("hf", "hoplite")


def export_store(
    store: Store, path: Path | str, views: Sequence[str] = (), *, kind: str | None = None, replace: bool = False
) -> Path:
    """Write a store as one file or folder, or write a description of it; the file appears complete or not at all.

    A .json file describes the store in Croissant and holds no embeddings. In the others, rows are in the order of the
    store's views, and rows that belong to no clip are left out. `import_store` makes a store from the result whose
    clips, labels, groups and embeddings have the same digests. (Hoplite stores float16; a warning gives the loss for
    float32 embeddings.)

    Args:
      store: the store.
      path: the file, whose ending gives the format: `.parquet` (a row per segment, each view a column of lists),
          `.npz`, or `.json` (Croissant metadata, with paths relative to the file); or a folder, whose format `kind`
          gives.
      views: names of the views to write; none means all. A Hoplite database holds only one view.
      kind: `parquet`, `npz`, `hf` (a folder that `load_from_disk` of Hugging Face's `datasets` opens) or `hoplite` (a database of
        perch-hoplite 1.x); None for the format of the ending.
      replace: replace a file that is there, or a folder that was exported before.

    Returns:
      the file's or folder's path.

    Raises:
      UserError: if the kind or ending is unknown, the file exists, a view does not exist, or a package is not
          installed.
    """
    path = Path(path)
    if kind is not None and kind not in KINDS:
        raise UserError(f"'{kind}' is not a kind of export; the kinds are {', '.join(KINDS)}")
    ending = path.suffix.lower()
    if kind is None and ending not in (".parquet", ".npz", ".json"):
        raise UserError(
            f"{path} ends in '{path.suffix}'; a store is exported to .parquet or .npz, or described in .json. For a folder name "
            "its kind: `jfewshot store export hf STORE`, or hoplite"
        )
    if kind in ("parquet", "npz") and ending != f".{kind}":
        raise UserError(f"{path} ends in '{path.suffix}'; name a file that ends in .{kind}")
    kind = kind or ending[1:]
    names = tuple(views) or store.views
    for name in names:
        store.view(name)
    if kind == "json" and views:
        raise UserError(f"{path} describes all files of the store; leave --views out")
    if kind == "hoplite" and len(names) > 1:
        raise UserError(
            f"a Hoplite database holds one view, and {store.path} has {', '.join(names)}; name one with --views"
        )
    if kind in _FOLDERS:
        if kind == "hf":
            from jfewshot.store.containers.hf_writing import write_hf

            write_hf(store, path, names, replace)
        else:
            from jfewshot.store.containers.hoplite_writing import write_hoplite

            write_hoplite(store, path, names[0], replace)
        return path
    if path.exists() and not replace:
        raise UserError(f"{path} is there already; name another file, or pass --replace (replace=True)")
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "json":
        with atomic_write(path, "w") as file:
            file.write(croissant_text(store, path.absolute().parent))
    elif kind == "npz":
        with atomic_write(path, "wb") as file:
            file.write(npz_bytes(_arrays(store, names)))
    else:
        _write_parquet(store, path, names)
    return path


def _arrays(store: Store, names: Sequence[str]) -> dict[str, np.ndarray]:
    clips, (order, rows) = store.clips, in_row_order(store)
    arrays = {name: np.asarray(store.view(name)[rows]) for name in names}
    arrays |= {
        "clip_id": clips.clip_id[order],
        "class": clips.class_name[order],
        "group": clips.group[order],
        "split": clips.split[order],
        "n_segments": clips.n_segments[order],
        **{f"{NPZ_COLUMN}{name}": column[order] for name, column in clips.further.items()},
        NPZ_FACTS: np.array(facts_text(store, names)),
    }
    return arrays


def _write_parquet(store: Store, path: Path, names: Sequence[str]) -> None:
    pyarrow, parquet = need_pyarrow(f"writing {path}")
    schema, batches = rows_of(store, names, pyarrow)
    with atomic_write(path, "wb") as file, parquet.ParquetWriter(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
