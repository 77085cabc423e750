"""The embedding store: a folder of NumPy arrays, a table of clips and a manifest (docs/store.md).

This room needs only NumPy, msgspec and the standard library. Names are imported when they are first used, so that the
command line's `--help` does not wait for NumPy.

  clips.py     the table of clips and its digest
  columns.py   further columns of that table
  joined.py    joins two stores of the same classes: queries from one, supports from the other
  manifest.py  the manifest, checked field by field
  reading.py   opening a store, finding stores in a folder
  writing.py   writing a store completely or not at all
  given.py     reads embeddings in the user's formats
  creating.py  makes a store from the user's own arrays and labels
  exporting.py writes a store as one Parquet or .npz file
  croissant.py describes a store in the Croissant format
  fusing.py    makes one store of several encoders, or of several layers of one encoder
  fused.py     the same fusion for one run, without writing a store
  frames.py    the table of clips as a data frame
  importing.py makes a store from such a file, or from a database
  verifying.py checks that a store is complete and plausible
  view_checks.py checks views before use: compares them with their manifests, and searches for NaN
  moments.py   mean and covariance of the embeddings of a corpus
  moments_file.py reads and writes these as one small file, for `--statistics-from`
  known_files.py remembers large files that were read completely before
  options.py   the options of the command line
  `diagnostics/` geometry of embedding spaces, near-duplicate clips, and suspect labels
  `containers/` files of other programs that hold embeddings: tables, archives, databases
  __main__.py  the command line: create, import, export, fuse, statistics, inspect, verify
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jfewshot.store.clips import ClipTable
    from jfewshot.store.creating import create_store
    from jfewshot.store.reading import Store, find_stores, open_store
    from jfewshot.store.verifying import verify_store
    from jfewshot.store.writing import check_store_place, write_cost, write_store

__all__ = [
    "ClipTable",
    "Store",
    "check_store_place",
    "create_store",
    "find_stores",
    "open_store",
    "verify_store",
    "write_cost",
    "write_store",
]

_ROOMS = {
    "ClipTable": "clips",
    "Store": "reading",
    "check_store_place": "writing",
    "create_store": "creating",
    "find_stores": "reading",
    "open_store": "reading",
    "verify_store": "verifying",
    "write_cost": "writing",
    "write_store": "writing",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
