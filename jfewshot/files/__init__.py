"""Files: written whole or not at all, found, digested, and read as tables.

- `atomic`: files and folders that appear whole or not at all
- `places`: where a finished folder may be put
- `listing`: what lies below a folder; the user's folder for caches
- `digests`: SHA-256 of files and of JSON values
- `json_values`: JSON from a file that may be damaged (loads msgspec)
- `arrays`: arrays as the bytes of an .npz file (loads NumPy)
- `tables`: text tables with a header
- `not_tables`: what is given in place of a table
- `parquet`: Parquet tables (loads pyarrow)
- `texts`: names from anywhere as text, missing ones too
- `csv_cells`: cells of CSV as they are written
"""

from jfewshot.files.atomic import (
    PARTIAL,
    atomic_folder,
    atomic_write,
    remove_stale_partials,
    scratch_folder,
    writable_folder,
)
from jfewshot.files.digests import canonical_json, sha256_of_file, sha256_of_json
from jfewshot.files.listing import files_below, user_cache

__all__ = [
    "PARTIAL",
    "atomic_folder",
    "atomic_write",
    "canonical_json",
    "files_below",
    "remove_stale_partials",
    "scratch_folder",
    "sha256_of_file",
    "sha256_of_json",
    "user_cache",
    "writable_folder",
]
