"""Checks views before they are used: compares them with their manifests and searches for NaN, while the previous view
is evaluated."""

import contextlib
import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jfewshot.errors import UserError
from jfewshot.store.clips import ClipTable
from jfewshot.store.fused import FusedStore, FusedView
from jfewshot.store.known_files import Found, recall, remember
from jfewshot.store.reading import Store
from jfewshot.store.verifying import finite, rows_not_finite

_BYTES_AT_ONCE = 2**20  # bytes that fit a core's cache


class Wanted(NamedTuple):
    """A view, and the clips whose segments must be finite.

    Attributes:
      store: the store of the view.
      name: name of the view.
      clips: the store's clips, or some of them.
    """

    store: Store
    name: str
    clips: ClipTable

    @property
    def key(self) -> tuple[str | int, ...]:
        """A key of the check: these clips, and this file with its current status."""
        if isinstance(self.store, FusedStore):
            parts = (piece for part in self.parts for piece in part.key)
            return self.store.digest, self.name, self.clips.segments_digest, *parts
        file: tuple[int, ...] = ()
        with contextlib.suppress(OSError):  # the check itself will report the error of the file
            status = self.store.view_path(self.name).stat()
            file = status.st_mtime_ns, status.st_size, status.st_ino
        return str(self.store.path), self.store.digest, self.name, self.clips.segments_digest, *file

    @property
    def parts(self) -> list["Wanted"]:
        """The views of the parts of a fused store, with all of their clips; none for another store."""
        if not isinstance(self.store, FusedStore):
            return []
        return [Wanted(part, view, part.clips) for part, view in self.store.parts_of_view(self.name)]


class CheckedViews:
    """The view that was checked last, and the view that is checked next by a thread.

    Every byte has to be read from disk, digested and checked, which takes as long as solving the episodes.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "jfewshot-check")
        self._checks: dict[tuple[str | int, ...], Future[np.ndarray | FusedView]] = {}
        # Of parts of fused views: the very array, so that the next fusion with this part finds its inner products again.
        self._parts: dict[tuple[str | int, ...], np.ndarray] = {}

    def get(self, wanted: Wanted, then: Wanted | None = None) -> np.ndarray | FusedView:
        """Return a view, segments x dim, after its check.

        Args:
          wanted: the view.
          then: the view that will be needed after it, which is checked in the meantime.

        Raises:
          UserError: if its file is not the one that the manifest describes, or an embedding of the clips is NaN or infinite.
        """
        coming = {x.key: x for x in ([wanted] if then is None else [wanted, then])}
        self._checks = {
            key: self._checks.get(key) or self._thread.submit(self._checked, x) for key, x in coming.items()
        }
        key = next(iter(coming))
        try:
            return self._checks[key].result()
        except BaseException:
            del self._checks[key]  # the file may be corrected before it is needed again
            raise

    def _checked(self, wanted: Wanted) -> np.ndarray | FusedView:
        """`check_view` of a store's view, or of each part of a fused one. Only this object's thread comes here."""
        if not isinstance(wanted.store, FusedStore):
            return check_view(wanted)
        by_key = {part.key: part for part in wanted.parts}
        self._parts = {
            key: self._parts[key] if key in self._parts else check_view(part) for key, part in by_key.items()
        }
        return wanted.store.fused_view([self._parts[part.key] for part in wanted.parts])


def check_view(wanted: Wanted) -> np.ndarray:
    """Compare a view with its manifest and search it for NaN and infinity.

    Args:
      wanted: the view, and the clips whose embeddings must be finite.

    Returns:
      The view, segments x dim.

    Raises:
      UserError: if its file is not the one that the manifest describes, or an embedding of the clips is NaN or infinite.
    """
    store, name, clips = wanted
    path, view = store.view_path(name), store.view(name)
    found = recall(path)
    if found is None:
        before = path.stat()
        found = read_through(path, view)
        remember(path, before, found)
    store.check_digest(name, found.sha256)
    if found.finite:
        return view
    check_finite(wanted, view, clips.rows(np.arange(len(clips)))[0])
    return view


def check_finite(wanted: Wanted, view: np.ndarray, rows: np.ndarray) -> None:
    """Search some rows of a view for NaN and infinity.

    Args:
      wanted: the view, and the clips that the rows belong to.
      view: its array.
      rows: numbers of the rows.

    Raises:
      UserError: names a clip whose embedding is NaN or infinite.
    """
    store, name, clips = wanted
    bad = rows_not_finite(view, rows)
    if len(bad):
        owner = clips.clip_id[clips.owner(bad)]
        raise UserError(
            f"{store.view_path(name)}: {len(bad)} embeddings are NaN or infinite, the first of clip '{owner[0]}'. "
            f"Extract them again, or leave these clips out; `python -m jfewshot.store verify {store.path}` lists them"
        )


def read_through(path: Path, view: np.memmap) -> Found:
    """Read a view's file once, to compute its digest and to check that its numbers are finite.

    Args:
      path: path of the `.npy` file.
      view: its array, memory-mapped.
    """
    digest, sound = hashlib.sha256(), True
    block = bytearray(_BYTES_AT_ONCE)
    with open(path, "rb") as file:
        digest.update(file.read(view.offset))
        while n := file.readinto(block):
            digest.update(memoryview(block)[:n])
            # A file that ends within a number is not the file that the manifest describes.
            sound = sound and bool(finite(np.frombuffer(block, view.dtype, n // view.itemsize)).all())
    return Found(digest.hexdigest(), sound)
