"""Replaces the pieces of recorded noise at regular steps; the next pieces are decoded while the device trains."""

import concurrent.futures

import numpy as np
from jax.sharding import Mesh

from jfewshot.simclr.augmentation import NoisePool
from jfewshot.simclr.training.step import Fixed
from jfewshot.training.devices import replicate


class NoiseRounds:
    """Gives each training step its fixed arrays, with other pieces of noise in each round of steps.

    Args:
      fixed: rooms, statistics and the noises of round 0, on the devices.
      pool: the recordings of noise.
      every: number of steps of a round.
      steps: number of steps of the run.
      mesh: the devices; None for one device.
    """

    def __init__(self, fixed: Fixed, pool: NoisePool, every: int, steps: int, mesh: Mesh | None):
        self._fixed, self._pool, self._every, self._mesh = fixed, pool, every, mesh
        self._last = (steps - 1) // every
        self._round = 0
        self._reader = concurrent.futures.ThreadPoolExecutor(1)
        self._next: tuple[int, concurrent.futures.Future[np.ndarray]] | None = None

    def __call__(self, step: int) -> Fixed:
        """The fixed arrays of a step, counted from 0. Also begins to decode the noises of the next round."""
        wanted = step // self._every
        if wanted != self._round:
            ready = self._next if self._next is not None and self._next[0] == wanted else self._begin(wanted)
            noises = replicate(ready[1].result(), self._mesh)
            self._fixed = self._fixed._replace(banks=self._fixed.banks._replace(noises=noises))
            self._round = wanted
        if wanted < self._last and (self._next is None or self._next[0] != wanted + 1):
            self._next = self._begin(wanted + 1)
        return self._fixed

    def close(self) -> None:
        """Wait until the current decoding ends, and decode no more."""
        self._reader.shutdown(cancel_futures=True)

    def _begin(self, number: int) -> tuple[int, "concurrent.futures.Future[np.ndarray]"]:
        return number, self._reader.submit(self._pool.bank, number)
