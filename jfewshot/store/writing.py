"""Write a store completely or not at all."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import atomic_folder, atomic_write, sha256_of_file
from jfewshot.files.places import check_place, manifest_of
from jfewshot.store.clips import ClipTable
from jfewshot.store.manifest import FORMAT, FORMAT_VERSION, MANIFEST, view_name_fault
from jfewshot.store.reading import CLIPS, VIEW_DTYPES, Store, open_store


def write_store(
    path: Path | str,
    *,
    views: Mapping[str, np.ndarray | Path],
    clips: ClipTable,
    dataset: Mapping[str, Any],
    upstream: Mapping[str, Any],
    sample_rate: int | None = None,
    segment_samples: int | None = None,
    preprocessing: str = "",
    default_view: str | None = None,
    left_out: Sequence[Mapping[str, str]] = (),
    made_with: Mapping[str, str] | None = None,
    cost: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> Store:
    """Write a store; it appears at its path only after all of it is on disk and has been read for a check.

    Args:
      path: the store's folder.
      views: by name (`<layer>.<pooling>`), an array of segments x dim in float16 or float32, or the path of a finished
        `.npy` file, which is moved into the store (for stores larger than memory).
      clips: the table of clips; its segments are rows of every view.
      dataset: facts about the dataset; `name` is required (docs/store.md lists the others).
      upstream: facts about the encoder; `name` is required.
      sample_rate: sample rate of the encoder's input, in Hz.
      segment_samples: samples per segment; None for whole clips.
      preprocessing: a sentence about the preparation of the audio for the encoder.
      default_view: the view that `jfewshot run` evaluates without --views; None for `last.mean`, or the first.
      left_out: `{"clip_id", "reason"}` for each recording that could not be used.
      made_with: versions of the programs that made it.
      cost: the computational cost of the encoder (docs/store.md); None if it was not measured.
      replace: replace an existing store at `path`. A folder with any other file is never changed.

    Returns:
      the finished store.

    Raises:
      UserError: if a view's name, type or number of rows does not fit, a name is missing, the default view is not a
          view, or `path` exists and may not be replaced.
    """
    for what, facts in (("dataset", dataset), ("upstream", upstream)):
        if not facts.get("name"):
            raise UserError(f"cannot write store {path}: {what} has no name; give {what}={{'name': ...}}")
    if not views:
        raise UserError(f"cannot write store {path}: no views; give at least one array")
    if default_view is not None and default_view not in views:
        raise UserError(
            f"default view '{default_view}' is not among the views {', '.join(sorted(views))}; name one of them"
        )
    with atomic_folder(path, own_files, "store", replace) as folder:
        described = {name: _write_view(folder, name, view, clips) for name, view in sorted(views.items())}
        clips.write(folder / CLIPS)
        manifest = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "dataset": dict(dataset),
            "upstream": dict(upstream),
            "views": described,
            "sample_rate": sample_rate,
            "segment_samples": segment_samples,
            "preprocessing": preprocessing,
            **({} if default_view is None else {"default_view": default_view}),
            "counts": clips.counts,
            "clips_sha256": sha256_of_file(folder / CLIPS),
            "clip_table": clips.digest,
            "left_out": [dict(item) for item in left_out],
            "made_with": dict(made_with or {}),
            **({} if cost is None else {"cost": dict(cost)}),
        }
        _write_manifest(folder, manifest)
        _read_back(folder, clips, manifest)
    return open_store(path)


def write_cost(store: Store, cost: Mapping[str, Any]) -> None:
    """Add the encoder's cost to a store's manifest; the store's digest stays the same.

    Args:
      store: the store, which may have a cost already.
      cost: see docs/store.md.
    """
    _write_manifest(store.path, {**store.manifest, "cost": dict(cost)})


def check_store_place(path: Path | str, replace: bool) -> None:
    """Refuse a folder to which a store may not be written, before the computation of the store.

    Raises:
      UserError: names the folder and its contents.
    """
    check_place(path, own_files, "store", replace)


def own_files(folder: Path) -> frozenset[str] | None:
    """The files that a store's manifest lists, and the manifest itself; None if there is no manifest."""
    manifest = manifest_of(folder / MANIFEST, FORMAT)
    if manifest is None or not isinstance(manifest.get("views"), dict):
        return None
    return frozenset({MANIFEST, CLIPS, *(f"{name}.npy" for name in manifest["views"])})


def _read_back(folder: Path, clips: ClipTable, manifest: Mapping[str, Any]) -> None:
    """Read a written store and compare it with the data, before the store appears in its place.

    Raises:
      UserError: if a file differs from the data.
    """
    store = open_store(folder)
    same_table = store.clips.digest == clips.digest and store.clips.segments_digest == clips.segments_digest
    if not same_table or store.manifest != json.loads(json.dumps(manifest)):
        file = MANIFEST if same_table else CLIPS
        raise UserError(
            f"the store's {file} was read back and differs from what was written: is the disk damaged? Nothing was replaced"
        )
    for name in store.views:
        view, written = store.view(name), store.view_path(name)
        if written.stat().st_size != view.offset + view.nbytes:
            raise UserError(f"the store's {written.name} has another size than what was written: is the disk damaged?")


def _write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    with atomic_write(folder / MANIFEST, "w") as file:
        json.dump(manifest, file, indent=2, ensure_ascii=False, sort_keys=True)
        file.write("\n")


def _write_view(folder: Path, name: str, view: np.ndarray | Path, clips: ClipTable) -> dict[str, Any]:
    layer, dot, pooling = name.rpartition(".")
    if not dot or not layer or not pooling or name.startswith("."):
        raise UserError(f"the name of a view, '{name}', should be <layer>.<pooling>, as in last.mean")
    if fault := view_name_fault(name):
        raise UserError(fault)
    file = folder / f"{name}.npy"
    array = np.load(view, mmap_mode="r", allow_pickle=False) if isinstance(view, Path) else view
    if array.ndim != 2 or str(array.dtype) not in VIEW_DTYPES:
        raise UserError(f"view '{name}' is {array.dtype} of shape {array.shape}; it must be float16 or float32, 2-D")
    if len(array) < clips.n_rows:
        raise UserError(f"view '{name}' has {len(array)} rows, but the clips speak of {clips.n_rows}")
    shape, dtype = array.shape, str(array.dtype)
    # Move files only now, so that a file that does not fit stays in its place.
    if isinstance(view, Path):
        del array  # Windows cannot move a memory-mapped file
        shutil.move(view, file)
        digest = sha256_of_file(file)
    else:
        with atomic_write(file) as out:
            digesting = _Digesting(out)
            np.save(digesting, np.ascontiguousarray(array), allow_pickle=False)  # type: ignore[arg-type]
        digest = digesting.digest.hexdigest()
    return {
        "layer": layer,
        "pooling": pooling,
        "dim": int(shape[1]),
        "dtype": dtype,
        "sha256": digest,
    }


class _Digesting:
    """A file that computes the digest of the written bytes, so that an array on disk need not be read again."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._file.write(data)
