"""The embeddings that are measured and checked on a GPU: the package's own sample stores, and synthetic ones from a seed."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.tools.embeddings import Synthetic
from jfewshot.files import PARTIAL
from jfewshot.store import ClipTable, open_store
from jfewshot.store.reading import sample_stores

# One of each clip table; every clip of these has one segment. Only `arabic_commands` has the 20 classes that 20-way needs.
SAMPLES = ("fsdd_digits/whisper_tiny_en", "arabic_commands/yamnet", "fsdd_speakers/speech_simclr_small")


_FEW = 4096  # segments


class Embeddings(NamedTuple):
    """A store in memory.

    Attributes:
      name: in tables.
      view: segments x dim.
      clips: one segment per clip, in the view's order.
    """

    name: str
    view: np.ndarray
    clips: ClipTable


def sample(name: str) -> Embeddings:
    """A sample store of the package."""
    store = open_store(sample_stores() / name)
    return Embeddings(name, np.asarray(store.view("last.mean")), store.clips)


def exact(classes: int = 40, per_class: int = 75, dim: int = 128) -> Embeddings:
    """Synthetic embeddings that are the same bits on every machine: random numbers are only added and scaled, and no
    product of matrices, which each processor sums in its own order, is taken."""
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((classes, dim), np.float32)
    noise = rng.standard_normal((classes * per_class, dim), np.float32)
    view = np.float32(3) + np.repeat(centres, per_class, 0) + np.float32(2) * noise
    return Embeddings(f"synthetic {len(view)} x {dim}", view, _clips(classes, per_class))


def synthetic(segments: int, dim: int, scratch: Path, dtype: str = "float32") -> Embeddings:
    """Embeddings like encoders' (benchmarks/tools/embeddings.py), made once and kept in a scratch folder."""
    if segments > _FEW:
        classes = segments // 100
    else:
        # 4,000 segments are the store of 20-way episodes.
        classes = 10 if segments < 4000 else 20
    per_class = segments // classes
    path = scratch / f"{segments}x{dim}-{dtype}.npy"
    if not path.exists():
        labels = np.repeat(np.arange(classes), per_class)
        partial = path.with_name(path.name + PARTIAL)
        Synthetic(labels, np.ones(len(labels), np.int64), dim).save(partial, dtype)
        partial.replace(path)
    view = np.load(path)
    # As a store's: the evaluator keeps what it made of an array that nobody can write to. What NumPy loads may be a view.
    for array in (view.base, view):
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    return Embeddings(f"{segments:,} x {dim} {dtype}", view, _clips(classes, per_class))


def _clips(classes: int, per_class: int) -> ClipTable:
    labels = np.repeat([f"class {c:05d}" for c in range(classes)], per_class)
    return ClipTable.build([f"{i:07d}" for i in range(len(labels))], labels)
