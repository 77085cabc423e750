"""Files: write them completely or not at all, find them, digest them, and read tables.

- `atomic`: files and folders that appear complete or not at all
- `places`: where a finished folder may be put
- `listing`: the files below a folder; the user's folder for caches
- `digests`: SHA-256 of files and of JSON values
- `json_values`: JSON from a file that may be damaged (loads msgspec)
- `arrays`: arrays as the bytes of an .npz file (loads NumPy)
- `tables`: text tables with a header
- `not_tables`: recognises files that are not tables
- `parquet`: Parquet tables (loads pyarrow)
- `texts`: converts names of any type to text, including missing ones
- `csv_cells`: writes cells of CSV
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
