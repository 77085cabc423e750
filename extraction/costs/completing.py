"""Measure the cost of an encoder for an existing store without a cost, and add the cost to the store's manifest."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from extraction.costs.recording import Meter, cost_of_store
from extraction.datasets.base import Recording
from extraction.decoding import Decoder
from extraction.encoding import BatchEncoder
from extraction.pooling import FRAMES
from extraction.upstreams.base import Upstream
from jfewshot.errors import UserError
from jfewshot.store import Store, open_store, write_cost

# Largest allowed difference, relative to the norm of the rows. Other versions of PyTorch and other numbers of threads round
# differently, by less than this; another encoder gives different rows.
_TOLERANCE = 0.02


def complete_cost(
    path: Path, recordings: Mapping[str, Recording], upstream: Upstream, n_clips: int, batch_size: int | None = None
) -> dict[str, Any]:
    """Encode some of a store's clips again, measure the cost, and write it to the store's manifest.

    The store's digest does not cover the cost, so it stays the same.

    Args:
      path: the store's folder.
      recordings: the dataset's clips by id.
      upstream: the encoder that made the store.
      n_clips: number of clips to time, spread evenly over the store. A batch of these clips is encoded before, without timing.
      batch_size: segments per forward pass; None chooses by device.

    Returns:
      the cost (docs/store.md).

    Raises:
      UserError: if another encoder or revision made the store, if the store has only frames, if recordings are missing, or if
          the new embeddings differ from the store's.
    """
    store = open_store(path)
    made_by = store.manifest["upstream"]
    if (made_by["name"], made_by.get("revision")) != (upstream.name, upstream.revision):
        raise UserError(
            f"{path} was made by {made_by['name']} ({made_by.get('revision')}), and this is {upstream.name} "
            f"({upstream.revision}); load the encoder that made the store"
        )
    views = [name for name in store.views if not name.endswith(f".{FRAMES}")]
    if not views:
        raise UserError(f"{path} has only frames, and their cost cannot be measured later; extract the store again")
    layer, _, pooling = views[0].rpartition(".")
    encoder = BatchEncoder(upstream, [layer], [pooling], store.manifest.get("segment_samples"), batch_size)
    meter = Meter(upstream)
    chosen = np.linspace(0, len(store.clips) - 1, min(n_clips, len(store.clips))).astype(int)
    with Decoder([upstream.sample_rate], 0) as decoder:
        costs = [
            _encode(store, views[0], part, recordings, encoder, meter, decoder)
            for part in (chosen[: encoder.batch_size], chosen)  # threads start, and JAX compiles, during the first part
        ]
    cost = cost_of_store(costs)
    assert cost is not None  # every clip was encoded, so every part has a cost
    write_cost(store, cost)
    return cost


def _encode(
    store: Store,
    view: str,
    clips: np.ndarray,
    recordings: Mapping[str, Recording],
    encoder: BatchEncoder,
    meter: Meter,
    decoder: Decoder,
) -> dict[str, Any]:
    names = store.clips.clip_id[clips].tolist()
    missing = [name for name in names if name not in recordings]
    if missing:
        raise UserError(
            f"{store.path}: the recordings hold no clip '{missing[0]}'; name the folder from which the store was made"
        )
    (decoded,) = decoder.stream([[recordings[name].audio for name in names]])
    started = time.monotonic()
    encoded = encoder.encode_block([clip.waves.get(encoder.upstream.sample_rate) for clip in decoded])
    seconds = time.monotonic() - started
    rows, _ = store.clips.rows(clips)
    found, stored = encoded.views[view], np.asarray(store.view(view)[rows], np.float32)
    if found.shape != stored.shape or np.linalg.norm(found - stored) > _TOLERANCE * np.linalg.norm(stored):
        raise UserError(
            f"{store.path}: {encoder.upstream.name} gives other embeddings for clip '{names[0]}' or later clips than the store "
            "has; the recordings may have changed since, or the store may have been made with other settings"
        )
    return meter.cost_of(encoded, seconds)
