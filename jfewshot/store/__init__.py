"""The embedding store: a folder of NumPy arrays, a table of clips and a manifest (docs/store.md).

NumPy and the standard library are all it takes.

  clips.py     the table of clips and its digest
  reading.py   opening a store, finding stores in a folder
  writing.py   writing a store whole or not at all
  creating.py  a store from somebody's own arrays and labels
  verifying.py is it whole, is it sane
  view_checks.py views that may be used: compared with their manifests, searched for NaN
  known_files.py large files that were read whole before
  __main__.py  the command line: create, inspect, verify
"""

from jfewshot.store.clips import ClipTable
from jfewshot.store.creating import create_store
from jfewshot.store.reading import Store, find_stores, open_store
from jfewshot.store.verifying import verify_store
from jfewshot.store.writing import write_store

__all__ = ["ClipTable", "Store", "create_store", "find_stores", "open_store", "verify_store", "write_store"]
