"""The embeddings of the GPU benchmark: sample stores of the package, and synthetic stores from a seed."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.tools.embeddings import Synthetic
from jfewshot.files import PARTIAL
from jfewshot.store import ClipTable, open_store
from jfewshot.store.reading import sample_stores

# One store for each of three clip tables with one segment per clip. Only `arabic_commands` has the 20 classes of 20-way episodes.
SAMPLES = ("fsdd_digits/whisper_tiny_en", "arabic_commands/yamnet", "fsdd_speakers/speech_simclr_small")


_FEW = 4096  # a store of fewer segments counts as small


class Embeddings(NamedTuple):
    """A store in memory.

    Attributes:
      name: name in tables.
      view: embeddings, segments x dim.
      clips: the clip table, with one segment per clip, in the order of the view's rows.
    """

    name: str
    view: np.ndarray
    clips: ClipTable


def sample(name: str) -> Embeddings:
    """Load a sample store of the package."""
    store = open_store(sample_stores() / name)
    return Embeddings(name, np.asarray(store.view("last.mean")), store.clips)


def exact(classes: int = 40, per_class: int = 75, dim: int = 128) -> Embeddings:
    """Synthetic embeddings that have the same bits on every machine.

    Random numbers are only added and scaled. A matrix product could differ, because processors sum in different orders.
    """
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((classes, dim), np.float32)
    noise = rng.standard_normal((classes * per_class, dim), np.float32)
    view = np.float32(3) + np.repeat(centres, per_class, 0) + np.float32(2) * noise
    return Embeddings(f"synthetic {len(view)} x {dim}", view, _clips(classes, per_class))


def synthetic(segments: int, dim: int, scratch: Path, dtype: str = "float32") -> Embeddings:
    """Embeddings like encoders' (benchmarks/tools/embeddings.py), which are made once and kept in a scratch folder."""
    if segments > _FEW:
        classes = segments // 100
    else:
        # The store of 4,000 segments is for 20-way episodes and has 20 classes.
        classes = 10 if segments < 4000 else 20
    per_class = segments // classes
    path = scratch / f"{segments}x{dim}-{dtype}.npy"
    if not path.exists():
        labels = np.repeat(np.arange(classes), per_class)
        partial = path.with_name(path.name + PARTIAL)
        Synthetic(labels, np.ones(len(labels), np.int64), dim).save(partial, dtype)
        partial.replace(path)
    view = np.load(path)
    # The evaluator keeps results only for arrays that are read-only, as a store's arrays are. An array that NumPy loads may be a
    # view, so its base must be read-only too.
    for array in (view.base, view):
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    return Embeddings(f"{segments:,} x {dim} {dtype}", view, _clips(classes, per_class))


def _clips(classes: int, per_class: int) -> ClipTable:
    labels = np.repeat([f"class {c:05d}" for c in range(classes)], per_class)
    return ClipTable.build([f"{i:07d}" for i in range(len(labels))], labels)
