"""Encode decoded clips to pooled rows: segments of equal length, batched across clips, never padded."""

import collections
import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from extraction.pooling import rows_of
from extraction.upstreams.base import Upstream
from jfewshot.audio import MIN_DURATION_S, cut_segments
from jfewshot.errors import UserError

logger = logging.getLogger(__name__)

CPU_BATCH_SIZE = 8
GPU_BATCH_SIZE = 128

_OUT_OF_MEMORY = (
    "resource_exhausted",
    "out of memory",  # CUDA, cuBLAS, cuDNN
    "cublas_status_alloc_failed",
    "failed to allocate memory",
    "not enough memory",  # torch's CPU allocator: "DefaultCPUAllocator: not enough memory: you tried to allocate ..."
    "can't allocate memory",  # the same message in older versions
    "could not create a primitive",  # oneDNN, when it cannot allocate its scratch memory
)


@dataclasses.dataclass(frozen=True)
class EncodedBlock:
    """Rows of a block of clips.

    Attributes:
      views: arrays of rows x dim by `<layer>.<pooling>`; the segments (or frames) of a clip are consecutive, and clips
          are in the block's order.
      n_segments: number of rows of each clip; 0 for a clip that could not be used.
      reasons: by clip number, the reason why a clip could not be used.
      waves, samples: number of waves that were encoded, and the sum of their samples.
      cost: cost of the block (`extraction.costs.recording`); None if it was not measured.
    """

    views: dict[str, np.ndarray]
    n_segments: np.ndarray
    reasons: dict[int, str]
    waves: int = 0
    samples: int = 0
    cost: dict[str, Any] | None = None


class BatchEncoder:
    """Runs one encoder over blocks of clips.

    Args:
      upstream: the encoder.
      layers: names that its `encode` accepts.
      poolings: names from `extraction.pooling.POOLINGS`.
      segment_samples: length of the segments; None for whole clips.
      batch_size: segments per forward pass; None chooses by device. It is halved permanently if the memory is not
          sufficient.
      dtype: type of the rows.
    """

    def __init__(
        self,
        upstream: Upstream,
        layers: Sequence[str],
        poolings: Sequence[str],
        segment_samples: int | None,
        batch_size: int | None = None,
        dtype: str = "float32",
    ):
        self.upstream = upstream
        self._layers = tuple(layers)
        self._poolings = tuple(poolings)
        self._segment_samples = segment_samples
        on_gpu = not str(getattr(upstream, "device", "cpu")).startswith("cpu")
        on_cpu = getattr(upstream, "cpu_batch_size", None) or CPU_BATCH_SIZE
        self.batch_size = batch_size or (GPU_BATCH_SIZE if on_gpu else on_cpu)
        self._dtype = np.dtype(dtype)

    def encode_block(self, waves: Sequence[Float32[np.ndarray, " samples"] | None]) -> EncodedBlock:
        """Encode clips; None stands for a clip that could not be decoded.

        Raises:
          UserError: if the numbers do not fit float16.
        """
        reasons: dict[int, str] = {}
        pieces: list[tuple[int, np.ndarray]] = []
        prepare = getattr(self.upstream, "prepare_clip", lambda segments: segments)
        for clip, wave in enumerate(waves):
            if wave is None:
                continue
            segments = cut_segments(wave, self._segment_samples, round(MIN_DURATION_S * self.upstream.sample_rate))
            if segments.shape[1] < self.upstream.min_samples:
                n_samples, needed = segments.shape[1], self.upstream.min_samples
                reasons[clip] = f"too short for {self.upstream.name}: {n_samples} samples, it needs {needed}"
                continue
            most = getattr(self.upstream, "max_samples", None)
            if most is not None and segments.shape[1] > most:
                reasons[clip] = (
                    f"too long for {self.upstream.name}: {segments.shape[1]} samples, it takes {most} at most; cut clips into "
                    "segments"
                )
                continue
            pieces += [(clip, segment) for segment in prepare(segments)]
        rows, per_piece = self._encode_pieces(pieces)
        owner = np.repeat(np.array([clip for clip, _ in pieces], np.int64), per_piece)
        for name, view in rows.items():
            for clip in sorted(set(owner[~np.isfinite(view).all(axis=1)].tolist())):
                reasons.setdefault(clip, f"{self.upstream.name} gave NaN or infinite features ({name})")
        usable = np.array([clip not in reasons for clip in owner.tolist()], bool)
        counts = np.bincount(owner[usable], minlength=len(waves)) if len(owner) else np.zeros(len(waves), np.int64)
        views = {name: self._store_type(view[usable]) for name, view in rows.items()}
        return EncodedBlock(views, counts, reasons, len(pieces), sum(len(piece) for _, piece in pieces))

    def _encode_pieces(self, pieces: list[tuple[int, np.ndarray]]) -> tuple[dict[str, np.ndarray], list[int]]:
        """Rows of all pieces one after another, by view, and the number of rows of each clip."""
        by_length: dict[int, list[int]] = collections.defaultdict(list)
        for row, (_, segment) in enumerate(pieces):
            by_length[len(segment)].append(row)
        parts: dict[str, list[np.ndarray]] = {}
        for length in sorted(by_length):
            rows, start = by_length[length], 0
            while start < len(rows):
                batch = rows[start : start + self.batch_size]
                try:
                    encoded = self._encode_batch(np.stack([pieces[row][1] for row in batch]))
                except Exception as error:
                    if not is_out_of_memory(error) or self.batch_size == 1:
                        raise
                    self._back_off()
                    continue
                for name, values in encoded.items():
                    view = parts.setdefault(name, [values[0, :0]] * len(pieces))
                    for row, value in zip(batch, values, strict=True):
                        view[row] = value
                start += len(batch)
        counts = [len(part) for part in next(iter(parts.values()), [])]
        for name, view in parts.items():
            if [len(part) for part in view] != counts:
                first = next(iter(parts))
                raise UserError(
                    f"{self.upstream.name} gives other numbers of frames for {name} than for {first}, and rows of a store are "
                    "shared by its views: extract these layers to two --out folders"
                )
        return {name: np.concatenate(view) for name, view in parts.items()}, counts

    def _encode_batch(self, waves: Float32[np.ndarray, "batch samples"]) -> dict[str, np.ndarray]:
        frames = self.upstream.encode(waves, self._layers)
        return {f"{layer}.{name}": rows_of(frames[layer], name) for layer in self._layers for name in self._poolings}

    def _back_off(self) -> None:
        logger.warning(
            "%s: no memory for %d segments at once; continuing with %d",
            self.upstream.name,
            self.batch_size,
            self.batch_size // 2,
        )
        self.batch_size //= 2

    def _store_type(self, view: np.ndarray) -> np.ndarray:
        if self._dtype == np.float16 and len(view) and np.abs(view).max() > np.finfo(np.float16).max:
            raise UserError(
                f"features of {self.upstream.name} reach {np.abs(view).max():.0f}, more than float16 holds (65,504); "
                "use --dtype float32"
            )
        return view.astype(self._dtype)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of torch (on GPUs and CPUs), XLA or ONNX Runtime says that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return any(phrase in text for phrase in _OUT_OF_MEMORY)
