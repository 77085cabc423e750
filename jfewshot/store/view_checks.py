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
from jfewshot.store.known_files import Found, recall, remember
from jfewshot.store.reading import Store
from jfewshot.store.verifying import finite, rows_not_finite

_BYTES_AT_ONCE = 2**20  # what a core's cache holds


class Wanted(NamedTuple):
    """A view, and the clips whose segments are to be sound.

    Attributes:
      store: where it lies.
      name: of the view.
      clips: the store's, or some of them.
    """

    store: Store
    name: str
    clips: ClipTable

    @property
    def key(self) -> tuple[str | int, ...]:
        """Which check this is: of these clips, of this file as it stands now."""
        file: tuple[int, ...] = ()
        with contextlib.suppress(OSError):  # the check says what is wrong with the file, when its turn comes
            status = self.store.view_path(self.name).stat()
            file = status.st_mtime_ns, status.st_size, status.st_ino
        return str(self.store.path), self.store.digest, self.name, self.clips.segments_digest, *file


class CheckedViews:
    """The view that was checked last, and the one that is checked next, in a thread of its own.

    Every byte has to be read from disk, digested and looked at, which takes as long as the episodes themselves do.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "jfewshot-check")
        self._checks: dict[tuple[str | int, ...], Future[np.ndarray]] = {}

    def get(self, wanted: Wanted, then: Wanted | None = None) -> np.ndarray:
        """A view, segments x dim, once it is known to be sound.

        Args:
          wanted: this one.
          then: what will be asked for after it, to be checked meanwhile.

        Raises:
          UserError: if its file is not the one that the manifest describes, or an embedding of the clips is NaN or infinite.
        """
        coming = {x.key: x for x in ([wanted] if then is None else [wanted, then])}
        self._checks = {key: self._checks.get(key) or self._thread.submit(check_view, x) for key, x in coming.items()}
        key = next(iter(coming))
        try:
            return self._checks[key].result()
        except BaseException:
            del self._checks[key]  # it may be mended before it is asked for again
            raise


def check_view(wanted: Wanted) -> np.ndarray:
    """Compare a view with its manifest and search it for NaN and infinity.

    Args:
      wanted: the view, and the clips whose embeddings are to be finite.

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
      UserError: naming a clip whose embedding is NaN or infinite.
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
    """Read a view's file once, for its digest and for whether its numbers are finite.

    Args:
      path: of the `.npy`.
      view: its array, memory-mapped.
    """
    digest, sound = hashlib.sha256(), True
    block = bytearray(_BYTES_AT_ONCE)
    with open(path, "rb") as file:
        digest.update(file.read(view.offset))
        while n := file.readinto(block):
            digest.update(memoryview(block)[:n])
            # A file that ends within a number is not the one that the manifest describes.
            sound = sound and bool(finite(np.frombuffer(block, view.dtype, n // view.itemsize)).all())
    return Found(digest.hexdigest(), sound)
