"""Opening a store and finding stores."""

import dataclasses
import functools
import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import PARTIAL, files_below, sha256_of_file, sha256_of_json
from jfewshot.store.clips import ClipTable
from jfewshot.store.manifest import MANIFEST, read_manifest

CLIPS = "clips.csv"
VIEW_DTYPES = ("float16", "float32")
# The tables of clips that were read last, by the digest of their files. The stores of all encoders of a dataset share
# one table.
_TABLES_KEPT = 32
_tables: dict[str, ClipTable] = {}


@dataclasses.dataclass(frozen=True)
class Store:
    """One dataset's embeddings by one upstream; make one with `open_store`.

    Attributes:
      path: its folder.
      manifest: the contents of `manifest.json`.
      clips: the table of clips, sorted by clip id.
    """

    path: Path
    manifest: Mapping[str, Any]
    clips: ClipTable

    @property
    def dataset(self) -> str:
        return self.manifest["dataset"]["name"]

    @property
    def upstream(self) -> str:
        return self.manifest["upstream"]["name"]

    @property
    def views(self) -> tuple[str, ...]:
        return tuple(self.manifest["views"])

    @property
    def default_view(self) -> str:
        """The view that is evaluated by default: the manifest's default view, or `last.mean`, or the first."""
        stated = self.manifest.get("default_view")
        if stated is not None:
            return stated
        return "last.mean" if "last.mean" in self.views else self.views[0]

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the manifest without the measured cost; the manifest holds the digest of every other file.

        The cost is left out because it differs each time that the same store is made.
        """
        return sha256_of_json({name: value for name, value in self.manifest.items() if name != "cost"})

    def view(self, name: str) -> np.memmap:
        """One view as a read-only memory map.

        Returns:
          float16 or float32 array, segments x dim.

        Raises:
          UserError: if there is no such view, or its file is missing, truncated or has another shape than in the
              manifest.
        """
        if name not in self.manifest["views"]:
            raise UserError(f"{self.path} has no view '{name}'; it has {', '.join(self.views)}")
        path = self.view_path(name)
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise UserError(
                f"{path} is missing, though {MANIFEST} names it; copy or extract the store again"
            ) from error
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
        except Exception as error:
            # A header is a Python literal, so a damaged one can raise any error of Python's tokenizer, its parser,
            # NumPy and mmap.
            what = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(f"{path} is truncated or not an array ({what}); copy or extract the store again") from error
        if array.ndim != 2 or str(array.dtype) not in VIEW_DTYPES:
            raise UserError(
                f"{path} holds {array.dtype} of shape {array.shape}; a view is float16 or float32, segments x dim"
            )
        stated = self.manifest["views"][name]
        if array.shape[1] < 1:
            raise UserError(f"{path} has no columns; an embedding needs at least one number")
        for field, actual in (("dim", array.shape[1]), ("dtype", str(array.dtype))):
            if stated.get(field) not in (None, actual):
                raise UserError(
                    f"{path}: {MANIFEST} says {field} {stated[field]}, the file has {actual}; copy or extract the store again"
                )
        if len(array) < self.clips.n_rows:
            raise UserError(
                f"{path} has {len(array)} rows, but {CLIPS} speaks of {self.clips.n_rows}; copy or extract it again"
            )
        return array

    def to_frame(self) -> Any:
        """The table of clips as a pandas DataFrame: `store.view(name)[frame.first_segment]` has each clip's first embedding."""
        from jfewshot.store.frames import to_frame

        return to_frame(self.clips)

    def view_path(self, name: str) -> Path:
        """The file of a view."""
        return self.path / f"{name}.npy"

    def view_digest(self, name: str) -> str:
        """SHA-256 of a view's file, from the manifest.

        Raises:
          UserError: if the manifest has no such digest.
        """
        digest = self.manifest["views"][name].get("sha256")
        if not isinstance(digest, str):
            raise UserError(f"{self.path / MANIFEST} has no sha256 for view '{name}'; create the store again")
        return digest

    def check_digest(self, name: str, actual: str | None = None) -> None:
        """Compare a view's bytes with the manifest.

        Args:
          name: name of the view.
          actual: SHA-256 of its file, if it is already known.

        Raises:
          UserError: if they differ.
        """
        path, expected = self.view_path(name), self.view_digest(name)
        if (actual := actual or sha256_of_file(path)) != expected:
            raise UserError(
                f"{path} is not the file that {MANIFEST} describes (sha256 {actual[:12]}…, expected {expected[:12]}…). "
                "Copy or extract the store again"
            )


def open_store(path: Path | str) -> Store:
    """Open a store: read its manifest and its clips, and check that they agree.

    The views' bytes are not read yet; `Store.check_digest` and `verify_store` do that.

    Raises:
      UserError: if the folder is not a store, has another format version, or contradicts itself.
    """
    path = Path(path)
    manifest = read_manifest(path)
    return Store(path=path, manifest=manifest, clips=_clips(path / CLIPS, manifest["clips_sha256"]))


def _clips(path: Path, expected: str) -> ClipTable:
    """A store's table of clips; two stores with the same file share one object, which is read and digested once."""
    if not path.is_file():
        return ClipTable.read(path)
    try:
        digest = sha256_of_file(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    table = _tables.get(digest)
    if table is None:
        table = ClipTable.read(path)
        while len(_tables) >= _TABLES_KEPT:
            _tables.pop(next(iter(_tables)))
        _tables[digest] = table
    if digest != expected:
        raise UserError(f"{path} is not the file that {MANIFEST} describes; copy or extract the store again")
    return table


def find_stores(*roots: Path | str) -> list[Path]:
    """The folders of all stores at or below some folders, sorted by name.

    Raises:
      UserError: if a folder does not exist or contains no store.
    """
    found: list[Path] = []
    for root in map(Path, roots):
        if not root.exists():
            raise UserError(f"{root} does not exist; name the folder of a store, or one with stores below it")
        here = [
            manifest.parent
            for manifest in files_below(root, hidden=True)
            if manifest.name == MANIFEST and not any(part.endswith(PARTIAL) for part in manifest.parts)
        ]
        if not here:
            raise UserError(
                f"no store at or below {root}: no {MANIFEST} there. `python -m jfewshot.store create` makes one"
            )
        found.extend(path for path in here if path not in found)
    return found


def sample_stores() -> Path:
    """The folder of the stores that come with the package."""
    return Path(str(importlib.resources.files("jfewshot"))) / "data" / "stores"
