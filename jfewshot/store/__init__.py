"""The embedding store: a folder of NumPy arrays, a table of clips and a manifest (docs/store.md).

NumPy, msgspec and the standard library are all it takes. Names are imported when they are asked for, so that the command
line's `--help` does not wait for NumPy.

  clips.py     the table of clips and its digest
  columns.py   further columns of that table
  joined.py    two stores of the same classes as one: queries from one, supports from the other
  manifest.py  the manifest, checked field by field
  reading.py   opening a store, finding stores in a folder
  writing.py   writing a store whole or not at all
  given.py     embeddings as somebody has them
  creating.py  a store from somebody's own arrays and labels
  exporting.py a store as one Parquet or .npz file
  croissant.py a store described in Croissant
  fusing.py    several encoders, or several layers of one, as one store
  frames.py    the table of clips as a data frame
  importing.py a store from such a file, or from a database
  verifying.py is it whole, is it sane
  view_checks.py views that may be used: compared with their manifests, searched for NaN
  moments.py   mean and covariance of the embeddings of a corpus
  moments_file.py these as one small file, for `--statistics-from`
  known_files.py large files that were read whole before
  options.py   the options of the command line
  `diagnostics/` what the geometry of embeddings says, and which clips to listen to
  `containers/` what other programs keep embeddings in: tables, archives, databases
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
