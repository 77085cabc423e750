"""Keeps decoded utterances in memory, so that small corpora are decoded once and not once per epoch. Uses no JAX."""

import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from jfewshot.audio import AudioError, read_audio

log = logging.getLogger(__name__)


class WaveCache:
    """Reads audio files, and keeps waves until the memory limit is reached.

    Waves are never removed: within an epoch every utterance is equally likely to come next, so replacing old waves by newer ones
    would gain nothing. A wave from a 16-bit file at the wanted rate is kept as 16-bit integers, without loss.

    Args:
      sample_rate: sample rate in Hz.
      limit_bytes: memory limit in bytes; 0 keeps nothing.
    """

    def __init__(self, sample_rate: int, limit_bytes: int):
        self.sample_rate, self.limit_bytes, self.kept_bytes = sample_rate, limit_bytes, 0
        self._waves: dict[Path, np.ndarray] = {}
        self._unusable: dict[Path, str] = {}
        self._lock = threading.Lock()

    def read(self, path: Path) -> Float32[np.ndarray, " samples"]:
        """The decoded wave of a file; raises the errors of `read_audio`."""
        if path in self._unusable:
            raise AudioError(path, self._unusable[path])
        kept = self._waves.get(path)
        if kept is not None:
            return _unpacked(kept)
        wave = read_audio(path, self.sample_rate)
        if self.kept_bytes < self.limit_bytes:
            packed = _packed(wave)
            with self._lock:
                if path not in self._waves and self.kept_bytes + packed.nbytes <= self.limit_bytes:
                    self._waves[path] = packed
                    self.kept_bytes += packed.nbytes
        return wave

    def note_unusable(self, path: Path, reason: str) -> None:
        """Log once that a file cannot be decoded, and do not try to decode it again.

        Args:
          path: the file.
          reason: why it cannot be decoded.
        """
        with self._lock:
            if path in self._unusable:
                return
            self._unusable[path] = reason.removeprefix(f"{path}: ")
        log.warning("left out of training: %s: %s", path, self._unusable[path])

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without waves, because each worker process fills its own cache."""
        return {"sample_rate": self.sample_rate, "limit_bytes": self.limit_bytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


def _packed(wave: Float32[np.ndarray, " samples"]) -> np.ndarray:
    integers = np.clip(wave * 32768, -32768, 32767).astype(np.int16)
    return integers if np.array_equal(_unpacked(integers), wave) else wave


def _unpacked(kept: np.ndarray) -> Float32[np.ndarray, " samples"]:
    return kept.astype(np.float32) / 32768 if kept.dtype == np.int16 else kept
